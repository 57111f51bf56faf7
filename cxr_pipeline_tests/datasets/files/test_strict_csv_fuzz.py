"""Damaged tables are refused or read right: never a traceback, never fewer rows or other cells in silence."""

import csv
import gzip
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cxr_pipeline.datasets.files.strict_csv import read_csv
from cxr_pipeline.errors import SourceFormatError

COLUMNS = ("id", "labels", "value")
ROWS = [
    [f"{number:04d}", ["Mass|Nodule", 'say "x", y', "two\nlines", "", "ñandú"][number % 5], "1.0"]
    for number in range(40)
]
NEWLINE = {"lf": "\n", "crlf": "\r\n"}


def text_of(rows, *, newline="\n", delimiter=",", quoting=csv.QUOTE_MINIMAL):
    buffer = io.StringIO(newline="")
    csv.writer(buffer, lineterminator=newline, delimiter=delimiter, quoting=quoting).writerows(rows)
    return buffer.getvalue().encode()


PUBLISHED = text_of([COLUMNS, *ROWS])


@pytest.fixture(scope="module")
def read(tmp_path_factory):
    path = tmp_path_factory.mktemp("fuzz") / "table.csv"

    def read_bytes(content):
        """The rows, or None where the text is refused."""
        path.write_bytes(content)
        try:
            return [list(row) for row in read_csv(path, COLUMNS).rows()]
        except SourceFormatError:
            return None

    return read_bytes


@pytest.mark.parametrize("newline", NEWLINE)
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_spelling_of_the_file_does_not_matter(read, newline, mark, quoting, pack):
    assert read(pack(mark + text_of([COLUMNS, *ROWS], newline=NEWLINE[newline], quoting=quoting))) == ROWS


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_other_delimiters_are_refused(read, delimiter):
    assert read(text_of([COLUMNS, *ROWS], delimiter=delimiter)) is None


def test_cut_anywhere_is_refused_or_ends_with_a_row(read):
    """Whole rows, and of the last one at most a part of its last cell.

    What the text cannot tell, that rows are missing behind a whole one, the published counts tell (`raw` checks).
    """
    ends = [len(text_of([COLUMNS, *ROWS[:count]])) for count in range(1, len(ROWS) + 1)]
    for cut in range(len(PUBLISHED)):
        rows = read(PUBLISHED[:cut])
        whole = sum(end <= cut for end in ends)
        if rows is not None:
            assert rows[:whole] == ROWS[:whole]
            assert [row[:-1] for row in rows[whole:]] in ([], [ROWS[whole][:-1]])


def test_cut_gzip_is_always_refused(read):
    packed = gzip.compress(PUBLISHED, mtime=0)
    assert [cut for cut in range(2, len(packed)) if read(packed[:cut]) is not None] == []
    assert read(packed) == ROWS


def test_gzip_of_several_parts_is_read_whole(read):
    """`cat a.gz b.gz` and bgzip make such files; many readers stop after the first part."""
    cut = len(text_of([COLUMNS, *ROWS[:20]]))
    assert read(gzip.compress(PUBLISHED[:cut]) + gzip.compress(PUBLISHED[cut:])) == ROWS


@settings(max_examples=300, deadline=None)
@given(
    at=st.integers(0, len(PUBLISHED) - 1), junk=st.sampled_from([b"\0", b"\xff", b'"', b",", b"\n", b"\r", b"x", b""])
)
def test_changed_byte_is_refused_or_read_as_the_csv_module_does(read, at, junk):
    rows = read(PUBLISHED[:at] + junk + PUBLISHED[at + 1 :])
    if rows is not None:
        reference = list(csv.reader(io.StringIO((PUBLISHED[:at] + junk + PUBLISHED[at + 1 :]).decode(), newline="")))
        assert rows == [row for row in reference[1:] if row]
        assert junk not in (b"\0", b"\xff")


@pytest.mark.parametrize(
    "content",
    [
        PUBLISHED.replace(b"id,labels,value", b"id,labels,labels,value"),
        PUBLISHED.replace(b"id,labels,value", b"id,labels,value,labels"),
        PUBLISHED.replace(b"id,labels,value", b"id,label,value"),
        PUBLISHED.replace(b"id,labels,value", b""),
        PUBLISHED.replace(b"\n0007", b"\n0007,", 1),
        PUBLISHED + b"0040,\"Mass,1.0\n",
        PUBLISHED + b"0040",
        b"\n\n" + PUBLISHED,
        b"x" * 10_000_000,
        b"x," * 5_000_000,
        b'"' + b"x" * 10_000_000,
        PUBLISHED + b"0040,Mass," + b"1" * 10_000_000,
        PUBLISHED + b"0040,Mass" + b",1" * 5_000_000 + b"\n",
    ],
    ids=[
        "header named twice", "header named twice elsewhere", "column missing", "no header", "cell too many",
        "open quote", "cells missing", "blank lines first", "one line of 10 MB", "header of 5 million cells",
        "10 MB in an open quote", "last cell of 10 MB", "last row of 5 million cells",
    ],
)  # fmt: skip
def test_damage_is_refused(read, content):
    assert read(content) is None


def test_cell_longer_than_a_block_is_read_or_refused_whole(read):
    long = [["0000", "y" * 3_000_000, "1.0"], *ROWS]
    assert read(text_of([COLUMNS, *long])) in (None, long)


def test_error_is_short_however_long_the_header(tmp_path):
    path = tmp_path / "table.csv"
    path.write_bytes(b"x," * 5_000_000)
    with pytest.raises(SourceFormatError) as caught:
        read_csv(path, COLUMNS)
    assert len(str(caught.value)) < 1_000
