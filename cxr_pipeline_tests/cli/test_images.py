import json
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cxr_pipeline.cli.main import app
from cxr_pipeline.images.prepare import digests
from cxr_pipeline.phantom.write import PhantomRequest, write_phantoms
from cxr_pipeline_tests.images.conftest import encode, picture


@pytest.fixture(scope="module")
def phantoms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("phantoms") / "nih"
    write_phantoms(PhantomRequest("nih", patients=6, seed=1, size=64), root, workers=1)
    return root


@pytest.fixture
def damaged(tmp_path: Path) -> Path:
    """Twenty files of which three are unusable."""
    folder = tmp_path / "files"
    folder.mkdir()
    for number in range(17):
        (folder / f"{number:02}.png").write_bytes(encode(picture(number)))
    for number, data in enumerate((b"", b"", b"<html>")):
        (folder / f"bad{number}.png").write_bytes(data)
    return folder


def cxr(tmp_path: Path, *arguments: str) -> Result:
    environment = {"CXR_HOME": str(tmp_path / "home"), "CXR_IMAGE_SIZE": "64", "COLUMNS": "200"}
    return CliRunner().invoke(app, ["images", *arguments], env=environment)


@pytest.mark.parametrize(
    "arguments",
    [("nih", "--root", "{}"), ("--root", "{}", "nih"), ("prepare", "nih", "--root", "{}")],
    ids=["name", "option first", "command"],
)
def test_name_alone_prepares_its_store(tmp_path: Path, phantoms: Path, arguments: tuple[str, ...]):
    done = cxr(tmp_path, *(word.format(phantoms) for word in arguments))
    assert done.exit_code == 0, done.output
    assert "decoded, 0 already there" in done.output
    assert (tmp_path / "home" / "lake" / "images" / "nih" / "index.parquet").exists()


def test_verify_reads_all_files_again(tmp_path: Path, phantoms: Path, monkeypatch: pytest.MonkeyPatch):
    read, file_digest = [], digests.file_digest
    monkeypatch.setattr(digests, "time_ns", lambda: time.time_ns() + 2 * digests.SETTLED_NS)
    monkeypatch.setattr(digests, "file_digest", lambda path: read.append(path) or file_digest(path))
    for options in ([], [], ["--verify"]):
        read.clear()
        done = cxr(tmp_path, "nih", "--root", str(phantoms), *options)
        assert done.exit_code == 0, done.output
        assert bool(read) == bool(options)
    assert f"0 decoded, {len(read)} already there" in done.output


def test_help_lists_all_commands_and_a_wrong_word_names_the_sources(tmp_path: Path):
    shown = cxr(tmp_path, "--help").output
    assert all(command in shown for command in ("prepare", "sheet", "doctor"))
    wrong = cxr(tmp_path, "doctr")
    assert wrong.exit_code == 2
    assert "choose from nih" in wrong.output


def test_sheet_prints_where_it_is(tmp_path: Path, phantoms: Path):
    assert cxr(tmp_path, "nih", "--root", str(phantoms)).exit_code == 0
    done = cxr(tmp_path, "sheet", "nih", "--root", str(phantoms))
    assert done.exit_code == 0, done.output
    sheet, histograms = map(Path, done.stdout.split())
    assert sheet == tmp_path / "home" / "reports" / "images" / "nih.png"
    assert sheet.is_file()
    assert histograms.is_file()


def test_sheet_before_the_images_says_what_to_run(tmp_path: Path, phantoms: Path):
    done = cxr(tmp_path, "sheet", "nih", "--root", str(phantoms))
    assert done.exit_code == 1
    assert "cxr images nih" in str(done.exception)


def test_doctor_is_content_with_usable_files_and_describes_each(tmp_path: Path, damaged: Path):
    done = cxr(tmp_path, "doctor", str(damaged / "00.png"), str(damaged / "01.png"))
    assert done.exit_code == 0, done.output
    assert done.stdout.count("usable") == 3  # two verdicts and the sum
    assert "64 x 64 pixels" in done.stdout


def test_doctor_counts_a_folder_by_reason_and_its_exit_code_says_so(tmp_path: Path, damaged: Path):
    done = cxr(tmp_path, "doctor", str(damaged))
    assert done.exit_code == 1
    assert "17 of 20 image files are usable" in done.stdout
    lines = {line.split()[0]: line for line in done.stdout.splitlines() if line.strip()}
    assert lines["empty"].split()[1] == "2"
    assert "bad0.png" in lines["empty"]
    assert "a web page" in lines["not_an_image"]


def test_doctor_writes_json_that_a_script_can_read(tmp_path: Path, damaged: Path):
    done = cxr(tmp_path, "doctor", "--json", str(damaged))
    document = json.loads(done.stdout)
    assert done.exit_code == 1
    assert (document["files"], document["usable"]) == (20, 17)
    assert document["reasons"] == {"empty": 2, "not_an_image": 1}
    assert len(document["diagnoses"]) == 20


def test_folder_without_images_is_not_a_success(tmp_path: Path):
    (tmp_path / "empty").mkdir()
    done = cxr(tmp_path, "doctor", str(tmp_path / "empty"))
    assert done.exit_code == 1
    assert "0 of 0" in done.stdout


def test_doctor_explains_names_that_are_not_there_and_links_that_lead_nowhere(tmp_path: Path):
    (tmp_path / "loop.png").symlink_to(tmp_path / "loop.png")
    done = cxr(tmp_path, "doctor", str(tmp_path / "gone.png"), str(tmp_path / "loop.png"))
    assert done.exit_code == 1
    assert "There is no such file or folder. Check the name" in done.output
    assert "The link leads to itself" in done.output
