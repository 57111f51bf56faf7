import io
from pathlib import Path

import polars as pl
import pytest
from PIL import Image

from cxr_pipeline.split.duplicates.audit import (
    audit_duplicates,
    count_crossings,
    count_disagreements,
    count_distances,
    count_facts,
    draw_pairs,
)
from cxr_pipeline.storage.lake import validate_table
from cxr_pipeline.tables.split import DuplicateTable
from cxr_pipeline_tests.images.conftest import picture
from cxr_pipeline_tests.split.stores import write_store
from cxr_pipeline_tests.split.tables import label_rows

PAIRS = validate_table(
    pl.DataFrame(
        [
            ("nih/a_000", "nih/b_001", 0, "exact", 0.0, False, 1, "nih:test|nih:train_val"),
            ("nih/a_000", "nih/c_002", 8, "near", 0.001, True, 0, None),
            ("nih/b_001", "nih/c_002", 12, "near", 0.001, False, 1, "nih:test|nih:train_val"),
            ("nih/c_002", "vindr/x_000", 31, "near", 0.0005, False, 0, "nih:test|vindr:none"),
        ],
        schema=DuplicateTable.column_names(),
        orient="row",
    ),
    DuplicateTable,
)


def sources(*, is_phantom: bool = False) -> dict[str, pl.DataFrame]:
    nih = label_rows("nih", ["a", "b", "c"], ["train_val", "test", "test"])
    labels = {"nih": nih, "vindr": label_rows("vindr", ["x"], [None])}
    labels["nih"] = nih.with_columns(Hernia=pl.Series([1, 0, None], dtype=pl.Int8))
    return {name: table.with_columns(is_phantom=pl.lit(is_phantom)) for name, table in labels.items()}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for seed, (name, labels) in enumerate(sources().items()):
        write_store(tmp_path / name, labels, [picture(10 * seed + i) for i in range(labels.height)], size=64)
    return tmp_path


def test_facts_count_what_each_pair_is():
    assert count_facts(PAIRS) == {
        "pairs": 4,
        "exact": 1,
        "near": 3,
        "images": 4,
        "pairs_of_two_patients": 3,
        "pairs_of_two_sources": 1,
        "pairs_across_published_parts": 3,
        "pairs_with_opposed_labels": 2,
    }
    assert set(count_facts(PAIRS.clear()).values()) == {0}


def test_histogram_has_single_bits_to_eight_and_then_bins():
    assert count_distances(PAIRS).rows() == [("0", 1, 0), ("8", 0, 1), ("9-16", 0, 1), ("17-32", 0, 1)]
    assert count_distances(PAIRS.clear()).is_empty()


def test_crossings_are_counted_by_published_parts():
    assert count_crossings(PAIRS).rows() == [
        ("nih:test and nih:train_val", 2, 2),
        ("nih:test and vindr:none", 1, 1),
    ]


def test_disagreement_counts_pairs_whose_labels_are_both_known():
    counts = count_disagreements(PAIRS, pl.concat(sources().values()))
    assert counts.filter(pathology="Hernia").row(0) == ("Hernia", 1, 1)
    assert counts.filter(pathology="Mass").row(0) == ("Mass", 4, 0)


def test_pictures_show_only_what_the_terms_allow(folder: Path):
    real, phantoms = (pl.concat(sources(is_phantom=is_phantom).values()) for is_phantom in (False, True))
    across = PAIRS.filter(pl.col("image_b") == "vindr/x_000")  # VinDr-CXR is credentialed
    assert draw_pairs(across, real, folder) is None
    assert draw_pairs(across, phantoms, folder) is not None
    assert draw_pairs(PAIRS.clear(), phantoms, folder) is None


def test_picture_is_a_small_jpeg_with_both_images_of_each_pair(folder: Path):
    preview = draw_pairs(PAIRS, pl.concat(sources(is_phantom=True).values()), folder)
    assert preview is not None
    assert len(preview) <= 60_000
    with Image.open(io.BytesIO(preview)) as sheet:
        assert sheet.format == "JPEG"
        assert sheet.width > sheet.height  # eight tiles of four pairs in one row


def test_real_pictures_are_shown_with_their_credit_below(folder: Path):
    of_nih = PAIRS.filter(~pl.col("image_b").str.starts_with("vindr"))
    real, phantoms = (
        draw_pairs(of_nih, pl.concat(sources(is_phantom=is_phantom).values()), folder) for is_phantom in (False, True)
    )
    assert real is not None
    assert phantoms is not None
    heights = [Image.open(io.BytesIO(preview)).height for preview in (real, phantoms)]
    assert heights[0] >= heights[1] + 15  # a line of text, scaled to the page


def test_audit_names_no_image(folder: Path):
    audit = audit_duplicates(PAIRS, sources(is_phantom=True), folder)
    tables = [audit.distances, audit.crossings, audit.disagreements, audit.derived]
    shown = str([table.rows() for table in tables]) + str(audit.facts)
    assert not any(name in shown for name in ("a_000", "b_001", "c_002", "x_000"))
    assert audit.preview is not None
