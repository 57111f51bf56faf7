"""Who names a folder above or beside the release is told which folder to name, whatever the source."""

from pathlib import Path

import pytest

from cxr_pipeline.datasets import DATASETS
from cxr_pipeline.datasets.files import elsewhere
from cxr_pipeline.datasets.files.folders import require_file
from cxr_pipeline.errors import SourceNotFoundError
from cxr_pipeline.phantom.write import PhantomRequest, write_phantoms
from cxr_pipeline_tests.datasets.sources import write_chexpert, write_image, write_lines, write_nih
from cxr_pipeline_tests.datasets.vindr.test_source import write_kaggle


@pytest.fixture(scope="module")
def releases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All seven sources in the published layout, each in a folder `set` of its own, none beside another."""
    home = tmp_path_factory.mktemp("releases")
    for name in DATASETS:
        write_phantoms(PhantomRequest(name, patients=30, seed=1, size=32), home / name / "set", workers=1)
    return home


def refusal(source: str, root: Path) -> str:
    with pytest.raises(SourceNotFoundError) as refused:
        DATASETS[source].find_metadata(root)
    return str(refused.value)


@pytest.mark.parametrize("source", DATASETS)
@pytest.mark.parametrize("below", ["data", "physionet.org/files/collection/1.0", "a/b/c/d"])
def test_root_that_is_too_high_is_told_the_folder_of_the_release(tmp_path, releases, source, below):
    folder = tmp_path / below
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.symlink_to(releases / source / "set")
    told = refusal(source, tmp_path)
    assert f"is there: name the folder {folder} of the release" in told
    assert DATASETS[source].read_images(folder).collect().height > 0


@pytest.mark.parametrize("source", DATASETS)
def test_each_source_finds_its_own_release_among_all(releases, source):
    assert f"name the folder {releases / source / 'set'} of the release" in refusal(source, releases)


def test_table_of_the_same_name_of_another_source_is_not_taken_for_the_release(tmp_path):
    write_kaggle(tmp_path / "a")
    write_chexpert(tmp_path / "b")
    assert f"name the folder {tmp_path / 'b'} of" in refusal("chexpert", tmp_path)
    assert f"name the folder {tmp_path / 'a'} of" in refusal("vindr", tmp_path)


def test_table_that_cannot_be_read_is_told_with_the_reason(tmp_path):
    table = write_image(tmp_path / "data" / "Data_Entry_2017.csv")
    told = refusal("nih", tmp_path)
    assert f"{table} is there, and the source cannot be read from its folder: " in told
    assert "lacks the columns" in told


def test_two_releases_are_both_named(tmp_path):
    for name in ("first", "second"):
        write_nih(tmp_path / "data" / name)
    told = refusal("nih", tmp_path)
    assert "2 folders below it hold the release" in told
    assert str(tmp_path / "data" / "first") in told
    assert str(tmp_path / "data" / "second") in told


def test_spelling_and_hidden_folders(tmp_path):
    write_nih(tmp_path / ".Trash")
    assert "Expected the unpacked release" in refusal("nih", tmp_path)
    write_nih(tmp_path / "NIH")
    (tmp_path / "NIH" / "Data_Entry_2017_v2020.csv").rename(tmp_path / "NIH" / "DATA_ENTRY_2017_V2020.CSV")
    assert f"name the folder {tmp_path / 'NIH'} of" in refusal("nih", tmp_path)


def test_release_beyond_the_limits_is_not_looked_for(tmp_path, monkeypatch):
    write_nih(tmp_path / "/".join("abcdefg"))
    assert "Expected the unpacked release" in refusal("nih", tmp_path)
    write_nih(tmp_path / "z" / "y")
    assert f"name the folder {tmp_path / 'z' / 'y'} of" in refusal("nih", tmp_path)
    monkeypatch.setattr(elsewhere, "MAX_FOLDERS", 2)
    assert "Expected the unpacked release" in refusal("nih", tmp_path)


def test_loop_of_links_is_entered_once(tmp_path):
    write_lines(tmp_path / "data" / "notes.txt", ["none"])
    (tmp_path / "data" / "loop").symlink_to(tmp_path)
    (tmp_path / "nowhere").symlink_to(tmp_path / "absent")
    with pytest.raises(SourceNotFoundError, match="Expected the unpacked release"):
        require_file(DATASETS["nih"], [tmp_path], ["Data_Entry_2017.csv"])
