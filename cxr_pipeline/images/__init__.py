"""Prepared image stores: decoded, resized 8-bit grey pixels in shards, with an index, hashes and a quarantine."""
