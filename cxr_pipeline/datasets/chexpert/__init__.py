"""CheXpert: the release, its mirrors, CheXpert Plus and the test set that ships with CheXlocalize."""
