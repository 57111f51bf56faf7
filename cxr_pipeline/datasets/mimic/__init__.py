"""MIMIC-CXR-JPG: the release, whose labels come from four hands, and its patients from MIMIC-IV."""
