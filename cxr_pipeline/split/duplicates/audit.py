"""What a person is shown of the duplicates: counts, labels that disagree, and pictures where they may be shown.

How duplicates are found does not live here (`duplicates`). Nothing here names an image or a patient.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from cxr_pipeline.datasets import DATASETS
from cxr_pipeline.images.looks.sheet import COLUMNS, Tile, draw_sheet, encode_preview
from cxr_pipeline.images.store.shards import ImageStore
from cxr_pipeline.pathologies import NEGATIVE, PATHOLOGIES, POSITIVE
from cxr_pipeline.split.derived import count_derived

_LAST_BITS = (*range(9), 16, 32, 256)  # upper ends of the histogram's bins
_PAIRS_SHOWN = COLUMNS // 2 * 4
_MAX_PREVIEW_BYTES = 60_000


@dataclass(frozen=True)
class DuplicateAudit:
    """What there is to say of a `DuplicateTable`."""

    facts: dict[str, int]
    distances: pl.DataFrame  # bits, exact, near
    crossings: pl.DataFrame  # published parts, pairs, of them of two patients
    disagreements: pl.DataFrame  # pathology, pairs where both are known, of them opposed
    derived: pl.DataFrame  # as `count_derived`
    preview: bytes | None  # JPEG of pairs side by side; None where there is none that may be shown


def audit_duplicates(pairs: pl.DataFrame, labels: Mapping[str, pl.DataFrame], folder: Path) -> DuplicateAudit:
    """Sums up `pairs`, a `DuplicateTable`; `labels` are the tables it was made with, `folder` holds the stores."""
    images = pl.concat([table.select("image_id", "dataset", "is_phantom", *PATHOLOGIES) for table in labels.values()])
    return DuplicateAudit(
        facts=count_facts(pairs),
        distances=count_distances(pairs),
        crossings=count_crossings(pairs),
        disagreements=count_disagreements(pairs, images),
        derived=count_derived(images, pairs),
        preview=draw_pairs(pairs, images, folder),
    )


def count_facts(pairs: pl.DataFrame) -> dict[str, int]:
    """Pairs in all and of each telling sort, and the images in them."""
    ids = pl.concat([pairs["image_a"], pairs["image_b"]])
    source = pl.col("image_a").str.split("/").list.first() != pl.col("image_b").str.split("/").list.first()
    return {
        "pairs": pairs.height,
        "exact": pairs.filter(pl.col("kind") == "exact").height,
        "near": pairs.filter(pl.col("kind") == "near").height,
        "images": ids.n_unique(),
        "pairs_of_two_patients": pairs.filter(~pl.col("same_patient")).height,
        "pairs_of_two_sources": pairs.filter(source).height,
        "pairs_across_published_parts": pairs["crosses"].count(),
        "pairs_with_opposed_labels": pairs.filter(pl.col("labels_disagree") > 0).height,
    }


def count_distances(pairs: pl.DataFrame) -> pl.DataFrame:
    """Pairs of each kind by the bits in which their hashes differ: `bits exact near`, bins without a pair left out."""
    names = {last: str(last) if last <= 8 else f"{first + 1}-{last}" for first, last in _bins()}
    last = pl.min_horizontal(*(pl.when(pl.col("distance") <= end).then(end) for end in _LAST_BITS))
    counts = pairs.group_by(last=last).agg((pl.col("kind") == kind).sum().alias(kind) for kind in ("exact", "near"))
    bits = pl.col("last").replace_strict(names, return_dtype=pl.String)
    return counts.sort("last").select(bits.alias("bits"), "exact", "near")


def count_crossings(pairs: pl.DataFrame) -> pl.DataFrame:
    """Pairs across published parts: `parts pairs of_two_patients`, most first."""
    crossing = pairs.filter(pl.col("crosses").is_not_null())
    parts = pl.col("crosses").str.replace("|", " and ", literal=True)  # a bar would end the cell of a Markdown table
    counts = crossing.group_by(parts=parts).agg(pairs=pl.len(), of_two_patients=(~pl.col("same_patient")).sum())
    return counts.sort("pairs", "parts", descending=[True, False])


def count_disagreements(pairs: pl.DataFrame, images: pl.DataFrame) -> pl.DataFrame:
    """Per class, pairs of which both labels are 1 or 0, and those where they are not the same: what a label is worth.

    `images` have `image_id` and the fourteen cells.
    """
    cells = images.select("image_id", *PATHOLOGIES)
    both = pairs.select("image_a", "image_b").join(cells, left_on="image_a", right_on="image_id", how="left")
    both = both.join(cells, left_on="image_b", right_on="image_id", how="left", suffix="_b")
    rows = [
        both.filter(pl.col(p).is_in([NEGATIVE, POSITIVE]), pl.col(f"{p}_b").is_in([NEGATIVE, POSITIVE])).select(
            pathology=pl.lit(p), known=pl.len(), opposed=(pl.col(p) != pl.col(f"{p}_b")).sum()
        )
        for p in PATHOLOGIES
    ]
    return pl.concat(rows)


def draw_pairs(pairs: pl.DataFrame, images: pl.DataFrame, folder: Path) -> bytes | None:
    """A JPEG of some pairs side by side, those of two patients first; None where there is none to show.

    Shown are phantoms, and images of sources whose terms let thumbnails be shown. `images` have `image_id dataset
    is_phantom`.
    """
    allowed = [dataset.name for dataset in DATASETS.values() if dataset.thumbnails.allowed]
    shown = images.filter(pl.col("is_phantom") | pl.col("dataset").is_in(allowed))["image_id"].implode()
    chosen = (
        pairs.filter(pl.col("image_a").is_in(shown), pl.col("image_b").is_in(shown))
        .sort("same_patient", "distance", "image_a", "image_b", descending=[False, True, False, False])
        .head(_PAIRS_SHOWN)
    )
    if chosen.is_empty():
        return None
    title = f"{chosen.height:,} of {pairs.height:,} pairs"
    sheet = draw_sheet(_tiles(chosen, folder), title=title, notes=_credits(chosen, images))
    return encode_preview(sheet, max_bytes=_MAX_PREVIEW_BYTES)


def _tiles(chosen: pl.DataFrame, folder: Path) -> list[Tile]:
    """Both pictures of each pair, one after the other: an even number of columns keeps them side by side."""
    tiles = []
    for image_a, image_b, bits, kind in chosen.select("image_a", "image_b", "distance", "kind").iter_rows():
        for image_id, words in ((image_a, kind), (image_b, f"{bits} bits")):
            source = image_id.split("/", 1)[0]
            (pixels,) = ImageStore(folder / source).read_ids([image_id])
            tiles.append(Tile(pixels, f"{source}, {words}"))
    return tiles


def _credits(chosen: pl.DataFrame, images: pl.DataFrame) -> list[str]:
    """Citation and licence of each source of which real images are shown."""
    shown = images.filter(~pl.col("is_phantom"), pl.col("image_id").is_in(pl.concat([*chosen["image_a", "image_b"]])))
    sources = [DATASETS[name] for name in DATASETS if name in shown["dataset"]]
    return [f"{source.citation}. {source.licence}" for source in sources]


def _bins() -> list[tuple[int, int]]:
    return list(zip((-1, *_LAST_BITS), _LAST_BITS, strict=False))
