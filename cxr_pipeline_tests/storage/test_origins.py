from pathlib import Path

import pytest

from cxr_pipeline.errors import OriginError, RecordError
from cxr_pipeline.storage.origins import ABSENT, check_origin, digest_or_absent, origin_path, read_origin, write_origin


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "table.parquet"
    path.write_bytes(b"rows")
    write_origin(path, {"raw/nih": "a" * 64, "raw/vindr": ABSENT})
    return path


def test_file_made_from_what_is_there_is_accepted(table: Path):
    check_origin(table, {"raw/nih": "a" * 64, "raw/vindr": ABSENT}, remedy="make it")
    check_origin(table, {"raw/mimic": ABSENT}, remedy="make it")
    assert read_origin(table, remedy="make it") == {"raw/nih": "a" * 64, "raw/vindr": ABSENT}


@pytest.mark.parametrize("now", [{"raw/nih": "b" * 64}, {"raw/nih": ABSENT}, {"raw/vindr": "b" * 64}])
def test_changed_gone_and_new_inputs_are_told(table: Path, now: dict[str, str]):
    with pytest.raises(OriginError, match=r"was made from raw/\w+ .*expected .*: make it first"):
        check_origin(table, now, remedy="make it")


def test_note_speaks_of_the_bytes_that_it_was_written_for(table: Path):
    table.write_bytes(b"other rows")
    with pytest.raises(OriginError, match="speaks of .*make it"):
        read_origin(table, remedy="make it")
    table.unlink()
    with pytest.raises(OriginError, match="has SHA-256 nothing"):
        read_origin(table, remedy="make it")


def test_file_without_a_note_is_of_unknown_origin(table: Path):
    origin_path(table).unlink()
    with pytest.raises(OriginError, match="Nothing says what"):
        read_origin(table, remedy="make it")


@pytest.mark.parametrize("content", ["", '{"sha256": ', "[]", '{"sha256": 3, "made_from": {}}'])
def test_a_damaged_note_is_told_with_what_to_make_again(table: Path, content: str):
    origin_path(table).write_text(content)
    with pytest.raises(RecordError, match=r"table\.origin\.json.*to be sure of table\.parquet, make it\."):
        read_origin(table, remedy="make it")


def test_same_note_is_not_written_twice(table: Path):
    before = origin_path(table).stat().st_mtime_ns
    write_origin(table, {"raw/vindr": ABSENT, "raw/nih": "a" * 64})
    assert origin_path(table).stat().st_mtime_ns == before
    assert digest_or_absent(table) != digest_or_absent(table.with_name("none"))
