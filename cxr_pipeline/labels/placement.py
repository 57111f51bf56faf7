"""Where a box lies in the picture that is here: mirrors are resized, and their boxes are those of the original."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import polars as pl

from cxr_pipeline.datasets.base import Dataset
from cxr_pipeline.images.decode.sizes import read_size

TOLERANCE = 1.0  # pixels that an edge may lie outside: drawing tools round
# Images with a box outside their picture, of all of one kind; above, it is the size that is wrong and not the box. A
# size that is stated, or that of an original, is believed until half of them contradict it.
MAX_STRAY_SHARE = {"unstated": 0.01, "stated": 0.5, "original": 0.5}
# Kaggle's mirrors are 256 to 1,280 pixels on their longer side, and few radiographs are as small. Larger mirrors are
# told by a side that they have in common: originals have hundreds of sizes.
MAX_MIRROR_SIDE = 1_280
MIN_COMPARED, COMMON_SHARE = 10, 0.9  # pictures, and the part of them with one length of a side

_ORIGINALS = (".dicom", ".dcm")  # readers drew in the pixels of these
_EDGES = {"x": "width", "y": "height", "width": "width", "height": "height"}  # edge -> side that scales it
_FRAMES = pl.Schema({"image_id": pl.String, "frame_width": pl.Float64, "frame_height": pl.Float64})
_SIZES = pl.Schema(
    {"image_id": pl.String, "is_original": pl.Boolean, "picture_width": pl.Int64, "picture_height": pl.Int64}
)
_THREADS = 16  # headers are waited for, not computed


def place_boxes(boxes: pl.DataFrame, frames: pl.DataFrame, sizes: pl.DataFrame) -> pl.DataFrame:
    """`boxes` (`image_id x y width height`) in pixels of the pictures that are here, with their `placement`.

    `frames` (`image_id frame_width frame_height`): the size of the picture in which the boxes were drawn, of images
    where that is stated. `sizes`: as `read_sizes`. A placement is `as_published` where both sizes are one or no file
    is here, `scaled` where they differ (each axis by itself, as NIH's own pictures and their mirrors were), and
    `unknown`, with null edges, where the box lies outside, or the picture is a mirror's and no size is stated.
    """
    known = boxes.join(frames.cast(_FRAMES), on="image_id", how="left", maintain_order="left")
    known = known.join(sizes, on="image_id", how="left", maintain_order="left").with_columns(_kind(), _is_stray())
    lost = known.join(_find_lost(known), on="image_id", how="left", maintain_order="left").select(
        pl.col("is_stray") | pl.col("is_lost").fill_null(value=False)
    )
    factors = known.select(**{side: _factor(side) for side in ("width", "height")})
    placed = known.select((pl.col(edge) * factors[side]).cast(pl.Float32) for edge, side in _EDGES.items())
    is_lost, is_scaled = lost.to_series(), (factors["width"] != 1) | (factors["height"] != 1)
    placement = pl.when(is_lost).then(pl.lit("unknown")).when(is_scaled).then(pl.lit("scaled"))
    edges = [pl.when(~is_lost).then(placed[edge]).alias(edge) for edge in _EDGES]
    return boxes.with_columns(*edges, placement=placement.otherwise(pl.lit("as_published")))


def read_frames(dataset: Dataset, root: Path) -> pl.DataFrame:
    """`image_id frame_width frame_height` of images whose boxes were drawn in a picture of a stated size, in pixels."""
    return dataset.read_frames(root).collect() if dataset.read_frames else pl.DataFrame(schema=_FRAMES)


def read_sizes(dataset: Dataset, root: Path, image_ids: pl.Series) -> pl.DataFrame:
    """`image_id is_original picture_width picture_height` of those images whose file is here and has a readable header.

    `is_original`: a DICOM file, and no PNG or JPEG copy of it.
    """
    keys = dataset.read_images(root).filter(pl.col("image_id").is_in(image_ids.unique().implode()))
    found = dataset.find_pixels(root)
    named = {row[0]: found[row[1]] for row in keys.select("image_id", "path").collect().rows() if row[1] in found}
    with ThreadPoolExecutor(_THREADS) as pool:
        sizes = list(pool.map(lambda path: read_size(root / path), named.values()))
    rows = [
        (image_id, path.suffix.lower() in _ORIGINALS, *size)
        for (image_id, path), size in zip(named.items(), sizes, strict=True)
        if size
    ]
    return pl.DataFrame(rows, schema=_SIZES, orient="row")


def _find_lost(known: pl.DataFrame) -> pl.DataFrame:
    """`image_id is_lost` of the pictures with a box: whether what is known of their sizes places none."""
    width, height = pl.col("picture_width").first(), pl.col("picture_height").first()
    pictures = (
        known.drop_nulls("kind")
        .group_by("image_id", maintain_order=True)
        .agg(
            pl.col("kind").first(),
            pl.col("is_stray").any(),
            longer=pl.max_horizontal(width, height),
            shorter=pl.min_horizontal(width, height),
        )
    )
    limit = pl.col("kind").replace_strict(MAX_STRAY_SHARE, return_dtype=pl.Float64)
    is_misstated = pl.col("is_stray").mean().over("kind") > limit
    is_mirror = (pl.col("kind") == "unstated") & ((pl.col("longer") <= MAX_MIRROR_SIDE) | _has_common_side())
    return pictures.select("image_id", is_lost=is_misstated | is_mirror)


def _has_common_side() -> pl.Expr:
    """Whether nearly all pictures of a kind have this one's longer, or its shorter side."""
    images = pl.len().over("kind")
    most = pl.max_horizontal(pl.len().over("kind", side) for side in ("longer", "shorter"))
    return (images >= MIN_COMPARED) & (most >= COMMON_SHARE * images)


def _kind() -> pl.Expr:
    """What is known of the picture that the boxes were drawn in; null where no size is known at all."""
    is_stated, is_here = pl.col("frame_width").is_not_null(), pl.col("picture_width").is_not_null()
    copy = pl.when(is_here & pl.col("is_original")).then(pl.lit("original")).when(is_here).then(pl.lit("unstated"))
    return pl.when(is_stated).then(pl.lit("stated")).otherwise(copy).alias("kind")


def _is_stray() -> pl.Expr:
    """Whether a box lies outside of the picture that it was drawn in; not where that has no known size."""
    outside = [
        pl.col(start) + pl.col(side) > pl.coalesce(f"frame_{side}", f"picture_{side}") + TOLERANCE
        for start, side in (("x", "width"), ("y", "height"))
    ]
    return pl.any_horizontal(outside).fill_null(value=False).alias("is_stray")


def _factor(side: str) -> pl.Expr:
    return (pl.col(f"picture_{side}") / pl.col(f"frame_{side}")).fill_null(1.0)
