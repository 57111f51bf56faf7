"""Phantoms: small rendered radiographs in the true on-disk layout of each source, for the demo and the tests."""
