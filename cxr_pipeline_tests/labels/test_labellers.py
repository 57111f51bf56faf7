"""A user may keep the labels of physicians alone; whose a label is stays in the table either way."""

import polars as pl
import pytest

from cxr_pipeline.datasets import DATASETS
from cxr_pipeline.labels.policy import DEFAULT_POLICY, LabelPolicy
from cxr_pipeline.labels.reports.tables import label_source
from cxr_pipeline.labels.summary import count_labels
from cxr_pipeline.pathologies import PATHOLOGIES
from cxr_pipeline.pipeline.labels import write_labels
from cxr_pipeline.storage.lake import Lake, validate_table
from cxr_pipeline.tables.labels import LabelTable
from cxr_pipeline_tests.datasets.padchest_rows import padchest_row, published_padchest, write_padchest
from cxr_pipeline_tests.datasets.sources import write_nih

PADCHEST = DATASETS["padchest"]
PHYSICIANS = LabelPolicy(labelled_by="physician")
ROWS = [
    padchest_row("1_1", Labels="['nodule']"),
    padchest_row("1_2", Labels="['nodule', 'pleural effusion']", MethodLabel="RNN_model"),
    padchest_row("1_3", Labels="['normal']"),
]


@pytest.fixture
def root(tmp_path):
    return write_padchest(tmp_path / "padchest", ROWS)


def test_everyone_counts_by_default_and_the_table_says_who_it_was(root):
    table = label_source(PADCHEST, root, DEFAULT_POLICY).table
    assert table["labelled_by"].to_list() == ["physician", "program", "physician"]
    assert table["Nodule"].to_list() == [1, 1, 0]


def test_labels_of_a_program_become_unknown_and_their_rows_stay(root):
    table = label_source(PADCHEST, root, PHYSICIANS).table
    assert table["Nodule"].to_list() == [1, None, 0]
    assert [table[p][1] for p in PATHOLOGIES] == [None] * len(PATHOLOGIES)
    assert set(table["evidence"][1].values()) == {"unobserved"}
    assert table["labelled_by"].to_list() == ["physician", "program", "physician"]
    assert validate_table(table, LabelTable).equals(table)


def test_labels_of_physicians_are_as_without_the_choice(root):
    kept, all_ = (label_source(PADCHEST, root, policy).table for policy in (PHYSICIANS, DEFAULT_POLICY))
    is_kept = pl.col("labelled_by") == "physician"
    assert kept.filter(is_kept).equals(all_.filter(is_kept))


def test_source_that_does_not_say_who_labelled_keeps_its_labels(tmp_path):
    nih = write_nih(tmp_path)
    kept, all_ = (label_source(DATASETS["nih"], nih, policy).table for policy in (PHYSICIANS, DEFAULT_POLICY))
    assert kept.equals(all_)
    assert kept["labelled_by"].null_count() == kept.height


def test_choice_reaches_the_table_in_the_lake(root, tmp_path):
    lake = Lake(tmp_path / "lake")
    write_labels(lake, PADCHEST, root, policy=PHYSICIANS)
    assert pl.read_parquet(lake.table("labels", "padchest"))["Nodule"].to_list() == [1, None, 0]


@pytest.mark.realdata
def test_published_positives_of_physicians(tmp_path):
    """label-mapping.md, section 2."""
    result = label_source(PADCHEST, published_padchest(tmp_path), PHYSICIANS)
    counts = {row["pathology"]: row["positive"] for row in count_labels(result.table).iter_rows(named=True)}
    expected = {"Atelectasis": 2_279, "Cardiomegaly": 3_746, "Effusion": 1_798, "Pneumothorax": 115, "Mass": 264}
    assert {name: counts[name] for name in [*expected, "Edema"]} == expected | {"Edema": 87}
