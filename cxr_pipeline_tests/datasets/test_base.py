"""A source states what its files do; what few of them state is null for the others."""

from dataclasses import replace

import polars as pl
import pytest

from cxr_pipeline.datasets import DATASETS
from cxr_pipeline_tests.datasets.padchest_rows import padchest_row, write_padchest
from cxr_pipeline_tests.datasets.sources import CHEXPERT_FINDINGS, write_chexpert, write_nih

NIH, CHEXPERT, PADCHEST = DATASETS["nih"], DATASETS["chexpert"], DATASETS["padchest"]


def test_columns_that_a_source_leaves_out_are_null(tmp_path):
    images = NIH.read_images(write_nih(tmp_path)).collect()
    assert images.schema["labelled_by"] == pl.String
    assert images.schema["birth_year"] == pl.Int16
    assert images["labelled_by"].null_count() == images["birth_year"].null_count() == images.height == 3


def test_what_a_source_states_is_kept(tmp_path):
    image = PADCHEST.read_images(write_padchest(tmp_path, [padchest_row()])).collect().row(0, named=True)
    assert (image["labelled_by"], image["birth_year"]) == ("physician", 1929)


def test_findings_are_the_only_further_columns_of_a_wide_table(tmp_path):
    write_chexpert(tmp_path)
    assert CHEXPERT.read_wide is not None
    wide, images = CHEXPERT.read_wide(tmp_path).collect(), CHEXPERT.read_images(tmp_path).collect()
    assert set(wide.columns) - set(images.columns) == {*CHEXPERT_FINDINGS.split(","), "(no labels)"}
    assert "labelled_by" in wide.columns


@pytest.mark.parametrize("source", [NIH, PADCHEST], ids=["completed", "stated"])
def test_a_changed_copy_reads_the_same(tmp_path, source):
    root = write_nih(tmp_path) if source is NIH else write_padchest(tmp_path, [padchest_row()])
    copy = replace(source, title="Copy")
    assert copy.read_images(root).collect().equals(source.read_images(root).collect())
