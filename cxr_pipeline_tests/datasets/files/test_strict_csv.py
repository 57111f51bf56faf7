"""Text tables are read as they are written, or not at all."""

import gzip
import re

import polars as pl
import pytest

from cxr_pipeline.datasets.files.strict_csv import decode, number_words, read_csv, reading_once, recode, require_match
from cxr_pipeline.datasets.files.strict_text import read_lines
from cxr_pipeline.errors import SourceFormatError

PLAIN = b"id,label,value\n007,a,1.0\n008,,-1.0\n"


@pytest.fixture
def write(tmp_path):
    def write_bytes(content, name="table.csv"):
        path = tmp_path / name
        path.write_bytes(content)
        return path

    return write_bytes


def test_cells_stay_as_written_and_empty_ones_are_empty_text(write):
    frame = read_csv(write(PLAIN), ["id", "label", "value"])
    assert frame.schema == dict.fromkeys(["id", "label", "value"], pl.String)
    assert frame.rows() == [("007", "a", "1.0"), ("008", "", "-1.0")]


@pytest.mark.parametrize("name", ["table.csv.gz", "table.csv"])
def test_gzip_is_told_by_its_content_not_by_its_name(write, name):
    assert read_csv(write(gzip.compress(PLAIN, mtime=0), name), ["id"])["id"].to_list() == ["007", "008"]


def test_plain_text_under_a_gz_name_is_read(write):
    assert read_csv(write(PLAIN, "table.csv.gz"), ["id"])["id"].to_list() == ["007", "008"]


def test_columns_come_in_the_order_asked_for(write):
    assert read_csv(write(PLAIN), ["value", "id"]).row(0) == ("1.0", "007")


def test_byte_order_mark_and_windows_line_ends_are_no_part_of_a_cell(write):
    frame = read_csv(write(b"\xef\xbb\xbf" + PLAIN.replace(b"\n", b"\r\n")), ["id", "value"])
    assert frame.rows() == [("007", "1.0"), ("008", "-1.0")]


def test_quoted_cells_may_hold_commas_and_newlines(write):
    assert read_csv(write(b'id,label\n1,"a, b\nc"\n'), ["label"]).item() == "a, b\nc"


def test_alias_names_a_column_by_its_other_spelling(write):
    assert read_csv(write(PLAIN), ["name"], aliases={"id": "name"})["name"].to_list() == ["007", "008"]


def test_unasked_columns_may_repeat_or_lack_a_name(write):
    assert read_csv(write(b"id,x,x,\n1,2,3,\n"), ["id"]).item() == "1"


def test_missing_column_error_names_file_found_and_expected(write):
    with pytest.raises(SourceFormatError) as caught:
        read_csv(write(PLAIN), ["id", "sex"])
    message = str(caught.value)
    assert "table.csv" in message
    assert "lacks the columns ['sex']" in message
    assert "['id', 'label', 'value']" in message
    assert "expected ['id', 'sex']" in message


def test_column_named_twice_is_refused(write):
    with pytest.raises(SourceFormatError, match=r"names the columns \['id'\] more than once"):
        read_csv(write(b"id,id\n1,2\n"), ["id"])


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "is empty"),
        (b"\n \n", "is empty"),
        (PLAIN.decode().encode("utf-16"), "is UTF-16 text"),
        (PLAIN.replace(b"a", b"\0"), "holds NUL bytes"),
        (b"PK\x03\x04 xl/workbook.xml", "is a zip archive or a spreadsheet: unpack it, or get the published file"),
        (b"\xef\xbb\xbf\n<!DOCTYPE html><title>Sign in", "is a web page: was a login needed"),
        (PLAIN.replace(b",", b";"), "has its 3 columns separated by semicolons, expected commas: was it saved by"),
        (b'"id"\t"label"\t"value"\n"007"\t"a"\t"1,0"\n', "has its 3 columns separated by tabs"),
        (PLAIN.replace(b"a", b"\xe9"), "is not UTF-8 text"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "Git LFS pointer"),
        (gzip.compress(PLAIN, mtime=0)[:-12], "damaged gzip"),
        (gzip.compress(PLAIN, mtime=0)[:20] + b"damage" + gzip.compress(PLAIN, mtime=0)[26:], "damaged gzip"),
        (b"id,label,value\n", "no rows"),
        (b"error: not found\n", "lacks the columns"),
        (PLAIN + b"009,b\n", "1 rows do not have the 3 cells"),
        (PLAIN + b"009,b,1.0,x\n", "1 rows do not have the 3 cells"),
    ],
)
def test_what_is_not_the_published_text_is_refused(write, content, problem):
    with pytest.raises(SourceFormatError, match=problem):
        read_csv(write(content), ["id", "label", "value"])


def test_coded_columns_come_as_their_codes(write):
    codes = {"value": {"1.0": 1, "-1.0": -1, "": None}, "label": {"a": "A", "": None}, "id": {"007": 7, "008": 300}}
    frame = read_csv(write(PLAIN), ["id", "label", "value"], codes=codes)
    assert frame.schema == {"id": pl.Int16, "label": pl.String, "value": pl.Int8}
    assert frame.rows() == [(7, "A", 1), (300, None, -1)]


NUMBERS = {"1.0": 1, "0.0": 0, "-1.0": -1, "1": 1, "0": 0, "-1": -1, "": None}


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["1.0", "", "-1", "0.0"], [1, None, -1, 0]),
        (["1.00", "-0.0", " 1", '"0.0"'], [1, 0, 1, 0]),
        (["", "", '""'], [None, None, None]),
    ],
)
def test_cells_that_are_their_own_codes_are_read_as_numbers(write, cells, expected):
    text = "id,value\n" + "".join(f"{n},{cell}\n" for n, cell in enumerate(cells))
    frame = read_csv(write(text.encode()), ["value", "id"], codes={"value": NUMBERS})
    assert frame.schema == {"value": pl.Int8, "id": pl.String}
    assert frame["value"].to_list() == expected


@pytest.mark.parametrize("cell", ["2.0", "0.5", "nan", "inf", "1e9", "maybe", "NA", "null", "-128"])
def test_cell_that_is_another_number_or_none_is_named(write, cell):
    with pytest.raises(SourceFormatError, match=f"'value' holds '{re.escape(cell)}': expected '1\\.0'"):
        read_csv(write(f"id,value\n1,1.0\n2,{cell}\n".encode()), ["id", "value"], codes={"value": NUMBERS})


def test_empty_cell_is_named_where_no_number_may_lack(write):
    with pytest.raises(SourceFormatError, match="'value' holds '': expected '0'"):
        read_csv(write(b"id,value\n1,1\n2,\n"), ["id", "value"], codes={"value": {"0": 0, "1": 1}})


def test_codes_that_are_words_come_in_the_type_asked_for(write):
    kinds = pl.Enum(["B", "A"])
    frame = read_csv(write(PLAIN), ["label"], codes={"label": {"a": "A", "": None}}, types={"label": kinds})
    assert frame.schema == {"label": kinds}
    assert frame["label"].to_list() == ["A", None]


def test_cell_without_a_code_is_named(write):
    with pytest.raises(SourceFormatError, match=r"'value' holds '1\.0': expected '-1\.0'"):
        read_csv(write(PLAIN), ["value"], codes={"value": {"-1.0": -1}})


REPEATING = b"id,label\n1,a\n2,\n3,b\n4,a\n"


def test_repeating_column_has_the_cells_that_another_has(write):
    plain, numbered = (read_csv(write(REPEATING), ["id", "label"], repeating=names) for names in ((), ("label",)))
    assert isinstance(numbered.schema["label"], pl.Enum)
    assert numbered.cast(pl.String).equals(plain)


def test_each_different_cell_of_a_repeating_column_is_decoded_once(write):
    frame = read_csv(write(REPEATING), ["id", "label"], repeating=("label",))
    seen = []

    def shout(cells):
        seen.extend(cells)
        return cells.str.to_uppercase()

    decoded = decode(frame["label"], shout)
    assert decoded.name == "label"
    assert decoded.to_list() == ["A", "", "B", "A"] == decode(frame["label"].cast(pl.String), shout).to_list()
    assert sorted(seen[:3]) == ["", "a", "b"]
    assert seen[3:] == ["a", "", "b", "a"]


@pytest.mark.parametrize("repeating", [(), ("label",)])
def test_every_cell_that_does_not_match_is_counted(write, repeating):
    path = write(REPEATING)
    with pytest.raises(SourceFormatError, match="2 of 4 cells of 'label'"):
        require_match(path, read_csv(path, ["label"], repeating=repeating), "label", "^b?$")


def test_words_in_lists_are_numbered_in_order():
    numbered = number_words(pl.Series([["mass", "edema"], [], ["mass"]]))
    assert numbered.to_list() == [["mass", "edema"], [], ["mass"]]
    assert numbered.dtype == pl.List(pl.Enum(["edema", "mass"]))


def test_file_is_read_once_within_the_block_and_again_after_it(write):
    path = write(PLAIN)
    with reading_once():
        first = read_csv(path, ["id"])
        path.write_bytes(PLAIN.replace(b"007", b"009"))
        assert read_csv(path, ["id"]).equals(first)
        assert read_csv(path, ["label"])["label"].to_list() == ["a", ""]
        assert read_csv(path, ["id"], aliases={"value": "id", "id": "x"})["id"].to_list() == ["1.0", "-1.0"]
        assert read_csv(path, ["label"], codes={"label": {"a": 1, "": 0}})["label"].to_list() == [1, 0]
        assert read_csv(path, ["label"], codes={"label": {"a": 2, "": 0}})["label"].to_list() == [2, 0]
    assert read_csv(path, ["id"])["id"].to_list() == ["009", "008"]


def test_damaged_file_is_refused_each_time(write):
    path = write(b"")
    with reading_once():
        for _ in range(2):
            with pytest.raises(SourceFormatError, match="is empty"):
                read_csv(path, ["id"])


def test_open_quote_is_refused_without_showing_rows(write):
    with pytest.raises(SourceFormatError, match="a quote left open") as caught:
        read_csv(write(b'id,label,value\n7654321,a,"1.0\n008,b,1.0\n'), ["id"])
    assert "7654321" not in str(caught.value)


def test_row_that_cannot_be_read_is_not_shown(write):
    with pytest.raises(SourceFormatError, match="a quote left open") as caught:
        read_csv(write(b"id,label\n7654321," + b"x" * 10_000_000 + b"\n"), ["id"])
    assert caught.value.__suppress_context__


def test_error_of_a_cut_row_tells_no_patient(write):
    with pytest.raises(SourceFormatError) as caught:
        read_csv(write(b"patient,label\n1234567,a\n7654321\n"), ["patient"])
    assert "7654321" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_lines_are_read_without_a_newline_at_the_end(write):
    assert read_lines(write(b"a.png\r\n b.png\n\nc.png")) == ["a.png", "b.png", "c.png"]


def test_lines_of_utf16_are_refused(write):
    with pytest.raises(SourceFormatError, match="UTF-16"):
        read_lines(write("a.png\n".encode("utf-16")))


def test_mismatch_counts_the_cells(write):
    frame = pl.DataFrame({"age": ["12", "x", ""]})
    with pytest.raises(SourceFormatError, match=r"2 of 3 cells of 'age'"):
        require_match(write(PLAIN), frame, "age", r"^\d+$")


def test_recode_may_give_null(write):
    frame = pl.DataFrame({"sex": ["F", "?", "F"]})
    assert recode(write(PLAIN), frame, "sex", {"F": "F", "M": "M", "?": None}).to_list() == ["F", None, "F"]


def test_recode_names_what_has_no_code(write):
    frame = pl.DataFrame({"sex": ["F", "female"]})
    with pytest.raises(SourceFormatError, match=r"'sex' holds 'female': expected 'F', 'M'"):
        recode(write(PLAIN), frame, "sex", {"F": "F", "M": "M"})
