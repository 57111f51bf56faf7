import polars as pl
import pytest

from cxr_pipeline.errors import SplitError
from cxr_pipeline.pipeline.images import index_path
from cxr_pipeline.pipeline.split import explain_split, read_duplicates, write_cohort
from cxr_pipeline.split.config import SplitConfig
from cxr_pipeline.split.explain import Evidence, explain_image
from cxr_pipeline.split.history import Memory
from cxr_pipeline.storage.lake import Lake, read_table, write_table
from cxr_pipeline.tables.images import StoreIndex
from cxr_pipeline.tables.split import CohortTable
from cxr_pipeline_tests.split.lakes import write_lake, write_pairs
from cxr_pipeline_tests.split.tables import index_rows, label_rows


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """Patients 1 (train_val) and 2 (test) of NIH turn out to share a picture after the first split."""
    nih = label_rows("nih", ["1", "1", "2", "3"], ["train_val", "train_val", "test", "train_val"])
    chexpert = label_rows("chexpert", ["9"], ["val"])
    lake = write_lake(tmp_path_factory.mktemp("lake"), nih, chexpert)
    write_cohort(lake, SplitConfig())
    write_pairs(lake, ("nih/1_000", "nih/2_002"), ("nih/1_000", "nih/1_001"))
    write_cohort(lake, SplitConfig())
    return lake


def test_moved_image_says_list_group_copies_and_move(lake: Lake):
    found = explain_split(lake, "nih/1_000")
    assert (found.split, found.reason) == ("test", "a published list decides for its group")
    assert found.facts["policy"] == "official"
    assert found.facts["published part"] == "train_val, which may be train or val"
    assert found.facts["patient"] == "nih/1, 2 images"
    assert found.facts["group"] == "3 images of nih; kept with 1 other patients"
    assert found.facts["assignment"] == "official, since generation 1"
    assert found.copies == ["an image of another patient of nih, test", "nih/1_001 (same patient), test"]
    assert found.moves == ["train -> test in generation 2: a published list decides for its group"]


def test_other_patients_are_not_named(lake: Lake):
    assert "nih/2" not in str(explain_split(lake, "nih/1_000"))


def test_image_without_links_says_how_it_was_placed(lake: Lake):
    found = explain_split(lake, "nih/3_003")
    assert found.reason == "placed so that every class is as frequent in each split"
    assert (found.copies, found.moves) == ([], [])
    assert explain_split(lake, "chexpert/9_000").facts["published part"] == "val, which may be val"


def test_hashed_split_says_that_it_has_no_memory(lake: Lake):
    cohort = read_table(lake.table("split", "cohort"), CohortTable)
    nothing = Memory.empty()
    evidence = Evidence(cohort, read_duplicates(lake), nothing.assignment, nothing.moves)
    config = SplitConfig(assignment="hash", external=["chexpert"])
    assert explain_image("nih/3_003", evidence, config).facts["assignment"] == "hash, without memory"
    assert explain_image("chexpert/9_000", evidence, config).facts["policy"] == "external"


def test_image_that_is_not_there_says_why(lake: Lake):
    nih = label_rows("nih", ["1", "1", "2", "3"], ["train_val", "train_val", "test", "train_val"])
    index = index_rows(nih, quarantined=["nih/1_000"])[:3]
    write_table(index_path(lake, "nih"), index, StoreIndex)
    cohort = lake.table("split", "cohort")
    write_table(cohort, read_table(cohort, CohortTable).filter(pl.col("patient_id") == "nih/2"), CohortTable)
    for image_id, reason in {
        "nih/1_000": "in quarantine: truncated",
        "nih/3_003": "no pixels in the store: its view is PA",
        "nih/absent": "not an image of its source",
        "rsna/1": "names no source",
    }.items():
        with pytest.raises(SplitError, match=reason):
            explain_split(lake, image_id)
