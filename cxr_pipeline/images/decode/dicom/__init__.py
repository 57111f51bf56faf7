"""DICOM files: which are read, how their pixel data is spelled, and what they show black and white."""
