"""The index of an image store. Its pixels are in shards, see `images/store/shards.py`."""

import dataframely as dy
import polars as pl


class StoreIndex(dy.Schema):
    """One row per image file that was read: where its pixels are, or why it is in quarantine."""

    image_id = dy.String(primary_key=True, min_length=1, description="As in the image table")
    shard = dy.String(nullable=True, description="Shard file within the store; null in quarantine")
    row = dy.Int32(nullable=True, min=0, description="Row within the shard; null in quarantine")
    source_path = dy.String(nullable=False, min_length=1, description="File, relative to the source's folder")
    source_bytes = dy.Int64(nullable=False, min=0, description="Size of the source file")
    source_digest = dy.String(nullable=False, description="SHA-256 of the source file, hexadecimal")
    source_height = dy.Int32(nullable=True, min=1, description="Height of the original, pixels")
    source_width = dy.Int32(nullable=True, min=1, description="Width of the original, pixels")
    source_mode = dy.String(nullable=True, description="Pixel form of the original: `L8`, `RGBA8`, `L16`, ...")
    bit_depth = dy.Int16(nullable=True, min=1, max=16, description="Stored bits of a grey value of the original")
    photometric = dy.String(nullable=True, description="`MONOCHROME1`, `MONOCHROME2`, `RGB`, `PALETTE`, `YCBCR`, ...")
    transform = dy.Struct(
        {
            "top": dy.Int32(nullable=False, min=0),
            "left": dy.Int32(nullable=False, min=0),
            "height": dy.Int32(nullable=False, min=1),
            "width": dy.Int32(nullable=False, min=1),
            "scale_y": dy.Float64(nullable=False, min_exclusive=0.0),
            "scale_x": dy.Float64(nullable=False, min_exclusive=0.0),
            "crop_top": dy.Int32(nullable=False, min=0),
            "crop_left": dy.Int32(nullable=False, min=0),
        },
        nullable=True,
        description="From pixels of the original to stored ones: the fields of `images.letterbox.Letterbox`",
    )
    dhash = dy.Binary(nullable=True, description="16x16 difference hash, 256 bits, most significant bit first")
    mean = dy.Float32(nullable=True, min=0.0, max=255.0, description="Mean grey value of the stored pixels")
    spread = dy.Float32(nullable=True, min=0.0, description="Standard deviation of the stored pixels")
    quarantine = dy.String(nullable=True, description="Why the file cannot be used; null when it can")

    @dy.rule()
    def stored_or_quarantined(cls) -> pl.Expr:
        stored = pl.all_horizontal(pl.col("shard", "row", "dhash", "mean", "spread").is_not_null())
        return stored == pl.col("quarantine").is_null()
