import polars as pl
import pytest

from cxr_pipeline.images.prepare.quarantine import count_quarantine, count_reasons
from cxr_pipeline_tests.split.tables import index_rows, label_rows


def index_of(reasons: list[str | None]) -> pl.DataFrame:
    rows = label_rows("nih", [str(i) for i in range(len(reasons))], [None] * len(reasons))
    bad = [image_id for image_id, reason in zip(rows["image_id"], reasons, strict=True) if reason]
    return index_rows(rows, quarantined=bad).with_columns(quarantine=pl.Series(reasons, dtype=pl.String))


def test_reasons_are_counted_most_frequent_first():
    counts = count_reasons(index_of([None, "blank", "truncated", "truncated", "absurd_aspect", None]))
    assert list(counts.items()) == [("truncated", 2), ("absurd_aspect", 1), ("blank", 1)]


def test_files_that_went_away_are_counted_apart_and_are_no_part_of_the_share():
    count = count_quarantine(index_of([None, None, None, "blank", "missing", "missing"]), absent=5)
    assert (count.files, count.missing, count.reasons) == (4, 7, {"blank": 1})
    assert count.share == pytest.approx(0.25)


def test_empty_store_has_nothing_in_quarantine():
    count = count_quarantine(index_of(["blank"]).clear(), absent=0)
    assert (count.files, count.quarantined, count.share) == (0, 0, 0.0)
