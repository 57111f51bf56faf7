import gzip
import zipfile

import pytest

from cxr_pipeline.watch import contents
from cxr_pipeline.watch.contents import read_contents

ROWS = b"image,labels,text\n" + b"".join(b'%d.png,none,"one, two"\n' % n for n in range(500))


def is_unfinished(tmp_path, name, data):
    path = tmp_path / name
    path.write_bytes(data)
    return read_contents(path).is_unfinished


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (ROWS, False),
        (ROWS[:-1], False),  # as NIH ends its lists
        (ROWS + b"501.png,no", True),
        (ROWS + b"501.png", True),
        (ROWS + b"\r\n", False),
        (ROWS.replace(b"\n", b"\r\n")[:-2], False),
        (b"image,labels,text", False),
        (b"", True),
        (b"image\n1.png\n2.png", False),  # one column
        (b"image;labels\n1.png;a\n2.png", True),
        (ROWS + b'501.png,none,"one, ', False),  # cut in its last field: cannot be told
        (ROWS + b"x" * 300_000, True),
    ],
)
def test_a_csv_is_unfinished_when_its_last_row_is_short(tmp_path, data, expected):
    assert is_unfinished(tmp_path, "a.CSV", data) is expected


@pytest.mark.parametrize("kept", [5, 100, -9, -1])
def test_a_cut_gzip_is_unfinished(tmp_path, kept):
    assert is_unfinished(tmp_path, "a.csv.gz", gzip.compress(ROWS)[:kept])


def test_a_whole_gzip_is_finished_in_one_or_several_members(tmp_path):
    assert not is_unfinished(tmp_path, "a.csv.gz", gzip.compress(ROWS))
    assert not is_unfinished(tmp_path, "b.csv.gz", gzip.compress(ROWS) + gzip.compress(ROWS) + bytes(100))
    assert is_unfinished(tmp_path, "c.csv.gz", gzip.compress(ROWS) + gzip.compress(ROWS)[:-3])


def test_members_that_end_with_a_piece_are_all_read(tmp_path, monkeypatch):
    monkeypatch.setattr(contents, "_PIECE", len(gzip.compress(ROWS)))
    assert not is_unfinished(tmp_path, "b.csv.gz", gzip.compress(ROWS) + gzip.compress(ROWS))


def test_what_is_no_gzip_is_not_waited_for(tmp_path):
    assert not is_unfinished(tmp_path, "a.csv.gz", b"image,labels\n")


def test_a_cut_zip_and_json_are_unfinished(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.txt", "text")
    whole = (tmp_path / "a.zip").read_bytes()
    assert not is_unfinished(tmp_path, "a.zip", whole)
    assert is_unfinished(tmp_path, "a.zip", whole[:40])
    assert not is_unfinished(tmp_path, "a.json", b'{"a": [1]}\n')
    assert is_unfinished(tmp_path, "a.json", b'{"a": [1], "b"')


def test_a_large_file_is_known_by_its_size_and_time(tmp_path, monkeypatch):
    path = tmp_path / "a.csv"
    path.write_bytes(ROWS)
    assert len(read_contents(path).digest) == 16
    monkeypatch.setattr(contents, "LARGEST_BYTES", len(ROWS) - 1)
    assert read_contents(path).digest is None
