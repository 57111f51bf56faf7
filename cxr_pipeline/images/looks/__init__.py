"""A store as a person sees it: contact sheets, histograms, tiles of files in quarantine."""
