import polars as pl
import pytest

from cxr_pipeline.errors import TableError
from cxr_pipeline.pathologies import PATHOLOGIES
from cxr_pipeline.storage.lake import validate_table
from cxr_pipeline.tables.evaluation import PredictionTable
from cxr_pipeline.tables.labels import LabelTable
from cxr_pipeline_tests.split.tables import label_rows


@pytest.mark.parametrize("table", [LabelTable, PredictionTable])
def test_classes_stand_in_the_order_of_the_label_space(table):
    assert tuple(name for name in table.columns() if name in PATHOLOGIES) == PATHOLOGIES


def test_null_without_its_evidence_is_refused():
    unknown = label_rows("nih", ["1"], [None]).with_columns(Mass=pl.lit(None, dtype=pl.Int8))
    with pytest.raises(TableError, match="unknown_has_no_value"):
        validate_table(unknown, LabelTable)


def test_value_without_its_evidence_is_refused():
    rows = label_rows("nih", ["1"], [None])
    claims = rows.with_columns(pl.col("evidence").struct.with_fields(pl.lit("unobserved").alias("Mass")))
    with pytest.raises(TableError, match="unknown_has_no_value"):
        validate_table(claims, LabelTable)
