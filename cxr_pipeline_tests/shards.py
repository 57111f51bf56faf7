"""Shards of given pixels, without files to decode."""

from cxr_pipeline.images.store.codecs import encode
from cxr_pipeline.images.store.shards import StoreForm, write_shard


def write_pixels(path, image_ids, pixels, *, codec="zstd"):
    """Writes a shard of `pixels` uint8 [n, size, size]; whether its bytes changed."""
    frames = [encode(image, codec) for image in pixels]
    return write_shard(path, image_ids, frames, StoreForm(pixels.shape[1], codec), pixel_rules=1)
