"""Pairs of stored images that show the same radiograph, within and across sources: found by hash, proven by pixels.

Who is kept together because of them does not live here (`groups`), nor what a person is shown (`duplicate_audit`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from cxr_pipeline.pathologies import NEGATIVE, PATHOLOGIES, POSITIVE
from cxr_pipeline.split.duplicates.config import DuplicateConfig
from cxr_pipeline.split.duplicates.hash_search import (
    Pairs,
    Words,
    first_of_each,
    hamming_distances,
    hash_words,
    near_pairs,
    unique_pairs,
)
from cxr_pipeline.split.duplicates.pixel_match import SIDE, pixel_differences, thumbnail
from cxr_pipeline.split.duplicates.sketches import SKETCH_SIZE, close_sketches, sketch_picture
from cxr_pipeline.split.duplicates.stored_pictures import StoredPictures
from cxr_pipeline.tables.split import DuplicateTable

_PAIRS_AT_ONCE = 2048  # at most 134 MB of thumbnails


@dataclass(frozen=True)
class Proof:
    """What the stored pixels say of candidate pairs [m]."""

    difference: npt.NDArray[np.float32]  # as `pixel_differences`
    is_equal: npt.NDArray[np.bool_]  # every stored pixel is the same


def find_duplicates(
    labels: Mapping[str, pl.DataFrame], indexes: Mapping[str, pl.DataFrame], folder: Path, config: DuplicateConfig
) -> pl.DataFrame:
    """The `DuplicateTable` of all sources; `folder` holds their image stores.

    `labels` and `indexes` map a source's name to its `LabelTable` and `StoreIndex`. Copies of one file are each paired
    with the first of them by id, which stands for them in the search for near-duplicates: the pairs connect every
    group of duplicates, but do not list each of its pairs. Raises StoreError when a store is not as its index says.
    """
    images = stored_images(labels, indexes)
    if images.height < 2:
        return DuplicateTable.create_empty()
    words = hash_words(images["dhash"].to_list())
    copies = _copies_of_a_file(images)
    pictures = StoredPictures(images, folder)
    candidates = find_candidates(images, words, pictures, config)
    proof = prove_pairs(pictures, candidates)
    is_duplicate = proof.difference <= config.pixel_difference
    near = _describe(images, words, candidates[is_duplicate]).with_columns(
        kind=pl.Series(np.where(proof.is_equal[is_duplicate], "exact", "near")),
        pixel_difference=pl.Series(proof.difference[is_duplicate], dtype=pl.Float32),
    )
    exact = _describe(images, words, copies).with_columns(
        kind=pl.lit("exact"), pixel_difference=pl.lit(0.0, pl.Float32)
    )
    return pl.concat([exact, near]).select(DuplicateTable.column_names()).sort("image_a", "image_b")


def stored_images(labels: Mapping[str, pl.DataFrame], indexes: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """Every image that is in a store, of all sources, in the order of its id: who it is, its labels, its hash."""
    stored = ["source_digest", "transform", "dhash"]
    known = ["image_id", "dataset", "patient_id", "official_split", "is_phantom", *PATHOLOGIES]
    parts = [
        labels[name]
        .select(known)
        .join(indexes[name].filter(pl.col("quarantine").is_null()).select("image_id", *stored), on="image_id")
        for name in labels
    ]
    return pl.concat(parts).sort("image_id")


def find_candidates(images: pl.DataFrame, words: Words, pictures: StoredPictures, config: DuplicateConfig) -> Pairs:
    """Pairs of rows of `images` to be compared pixel by pixel, of different files, sorted.

    Sketches are asked for pairs of two patients only: one patient's images are kept together anyway, and their
    repeated exposures are what looks most alike.
    """
    files = images.with_row_index("row").unique("source_digest", keep="first", maintain_order=True)["row"].to_numpy()
    rows = files.astype(np.int64)
    hashed = rows[near_pairs(words[rows], radius=config.hash_bits)]
    if not config.sketch_distance:
        return hashed
    rows = rows[first_of_each(words[rows])]
    sketches = np.empty((len(rows), SKETCH_SIZE), dtype=np.float32)
    for place, picture in pictures.read(rows):
        sketches[place] = sketch_picture(picture)
    sketched = rows[close_sketches(sketches, words[rows], distance=config.sketch_distance)]
    patients = images["patient_id"].rank("dense").to_numpy()
    of_two = patients[sketched[:, 0]] != patients[sketched[:, 1]]
    return unique_pairs(np.concatenate([hashed, sketched[of_two]]))


def prove_pairs(pictures: StoredPictures, pairs: Pairs) -> Proof:
    """Compares the stored pixels of each pair; at most a few thousand pictures are held at once."""
    parts = [
        _prove_some(pictures, pairs[start : start + _PAIRS_AT_ONCE]) for start in range(0, len(pairs), _PAIRS_AT_ONCE)
    ]
    return Proof(
        np.concatenate([np.empty(0, np.float32), *(part.difference for part in parts)]),
        np.concatenate([np.empty(0, np.bool_), *(part.is_equal for part in parts)]),
    )


def _prove_some(pictures: StoredPictures, pairs: Pairs) -> Proof:
    rows, places = np.unique(pairs, return_inverse=True)
    first, second = places.reshape(pairs.shape).T
    thumbnails = np.empty((len(rows), SIDE, SIDE), dtype=np.float32)
    digests = np.empty(len(rows), dtype="S16")
    for place, picture in pictures.read(rows):
        thumbnails[place] = thumbnail(picture)
        digests[place] = _picture_digest(picture)
    return Proof(pixel_differences(thumbnails[first], thumbnails[second]), digests[first] == digests[second])


def _picture_digest(picture: npt.NDArray[np.uint8]) -> bytes:
    """Hexadecimal, since numpy drops zero bytes at the end of a bytes string."""
    return blake2b(picture.tobytes(), digest_size=8).hexdigest().encode()


def _copies_of_a_file(images: pl.DataFrame) -> Pairs:
    """Each further image of a file, paired with the first."""
    rows = images.select("source_digest").with_row_index("row").with_columns(pl.col("row").cast(pl.Int64))
    first = pl.col("row").min().over("source_digest")
    return rows.select(first=first, row="row").filter(pl.col("first") != pl.col("row")).to_numpy()


def _describe(images: pl.DataFrame, words: Words, pairs: Pairs) -> pl.DataFrame:
    """Rows of DuplicateTable without `kind` and `pixel_difference`."""
    a, b = (
        images[pairs[:, side]].select("image_id", "patient_id", *PATHOLOGIES, part=_published_part()) for side in (0, 1)
    )
    both = pl.concat([a.rename(lambda name: f"{name}_a"), b.rename(lambda name: f"{name}_b")], how="horizontal")
    parts = pl.concat_list("part_a", "part_b").list.sort().list.join("|")
    return both.select(
        image_a="image_id_a",
        image_b="image_id_b",
        distance=pl.Series(hamming_distances(words, pairs), dtype=pl.Int16),
        same_patient=pl.col("patient_id_a") == pl.col("patient_id_b"),
        labels_disagree=pl.sum_horizontal(map(_disagree, PATHOLOGIES)).cast(pl.Int8),
        crosses=pl.when(pl.col("part_a") != pl.col("part_b")).then(parts),
    )


def _published_part() -> pl.Expr:
    return pl.concat_str("dataset", pl.col("official_split").cast(pl.String).fill_null("none"), separator=":")


def _disagree(pathology: str) -> pl.Expr:
    """Whether one says 1 and the other 0; unknown and uncertain disagree with nothing."""
    a, b = pl.col(f"{pathology}_a"), pl.col(f"{pathology}_b")
    opposed = ((a == POSITIVE) & (b == NEGATIVE)) | ((a == NEGATIVE) & (b == POSITIVE))
    return opposed.fill_null(value=False)
