"""The prepared image store on disk: shards of pixels, how they are spelled, the hashes of what is in them."""
