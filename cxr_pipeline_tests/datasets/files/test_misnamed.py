"""A file that is there under another name, or in another form, is named with what to do."""

import pytest

from cxr_pipeline.datasets import DATASETS
from cxr_pipeline.datasets.files.misnamed import describe_misnamed
from cxr_pipeline.datasets.inventory import take_inventory
from cxr_pipeline.errors import SourceNotFoundError
from cxr_pipeline_tests.datasets.sources import write_image, write_lines, write_nih

TABLE = "Data_Entry_2017_v2020.csv"


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("Data_Entry_2017_v2020 (1).csv", "is there: if it is the published file, move it to"),
        ("Data_Entry_2017_v2020_copy.csv.gz", "is packed: unpack it to"),
        ("Data_Entry_2017_v2020", "is there: if it is the published file, move it to"),
        ("data_entry_2017_v2020.csv.zip", "is packed: unpack it to"),
        ("Data_Entry_2017_v2020.xlsx", "is a spreadsheet, in which numbers and dates may have changed: get"),
        ("Data_Entry_2017_v2020.csv.crdownload", "is a download that was not finished: get it again"),
    ],
)
def test_table_in_another_form_is_named_with_what_to_do(tmp_path, name, advice):
    write_image(tmp_path / name)
    with pytest.raises(SourceNotFoundError) as refused:
        DATASETS["nih"].find_metadata(tmp_path)
    assert f"{tmp_path / name} {advice}" in str(refused.value)


def test_link_that_leads_nowhere_is_told(tmp_path):
    (tmp_path / TABLE).symlink_to(tmp_path / "absent.csv")
    with pytest.raises(SourceNotFoundError, match=f"{TABLE} is a link that leads nowhere: mend it"):
        DATASETS["nih"].find_metadata(tmp_path)


@pytest.mark.parametrize("place", ["lists/test_list.txt", "test_list (1).txt", "test_list.csv"])
def test_optional_file_that_lies_elsewhere_is_named_in_the_warning(tmp_path, place):
    write_lines(write_nih(tmp_path) / place, ["00000001_000.png"])
    (line,) = [line for line in take_inventory(DATASETS["nih"], tmp_path).warnings if line.startswith("test_list.txt")]
    assert line.startswith(f"test_list.txt is not in {tmp_path}: the official split of its images is unknown. ")
    assert line.endswith(
        f"{tmp_path / place} is there: if it is the published file, move it to {tmp_path / 'test_list.txt'}."
    )


def test_other_files_of_a_release_are_not_taken_for_the_missing_one(tmp_path):
    for name in ("train_cheXbert.csv", "train_meta.csv", "my_train.csv", "training.csv"):
        write_image(tmp_path / name)
    assert describe_misnamed(tmp_path, ["train.csv", "train.csv.gz", "folder/*.xml", "deid_png"], home=tmp_path) is None
