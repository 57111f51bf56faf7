"""JSON files of this package: read whole, or told in one line what is wrong and what to do."""

from pathlib import Path

import pytest

from cxr_pipeline.errors import RecordError
from cxr_pipeline.storage.records import read_record

DAMAGED = {
    "empty": (b"", "0 bytes, is no JSON"),
    "cut off": (b'{"job": "a", ', "13 bytes, is no JSON"),
    "no text": (b"\xff\xfe\x00", "3 bytes, is no JSON"),
    "a list": (b"[]", "no usable job, of"),
    "a number": (b"3", "no usable job, of"),
    "a field gone": (b'{"of": 3}', "no usable job:"),
    "another type": (b'{"job": 3, "of": null}', "no usable job, of"),
}


def test_a_whole_record_is_read_with_its_other_fields(tmp_path: Path):
    (tmp_path / "note.json").write_text('{"job": "a", "of": 2, "more": [1]}')
    found = read_record(tmp_path / "note.json", {"job": str, "of": int}, remedy="make it again")
    assert found == {"job": "a", "of": 2, "more": [1]}


@pytest.mark.parametrize("how", DAMAGED)
def test_a_damaged_record_is_one_line_with_its_name_and_the_remedy(how: str, tmp_path: Path):
    content, told = DAMAGED[how]
    path = tmp_path / "note.json"
    path.write_bytes(content)
    with pytest.raises(RecordError) as caught:
        read_record(path, {"job": str, "of": int}, remedy="make it again")
    message = str(caught.value)
    assert message.startswith(str(path))
    assert told in message
    assert message.endswith("make it again.")
    assert "\n" not in message
