from pathlib import Path

import polars as pl
import pytest

from cxr_pipeline.errors import TableError
from cxr_pipeline.storage.lake import Lake, read_table, write_table
from cxr_pipeline.tables.labels import FindingTable

ROWS = pl.DataFrame({"image_id": ["a", "b"], "finding": ["Mass", "Mass"], "reader": ["", ""], "value": [1, 0]})


def test_paths_mirror_asset_keys(tmp_path: Path):
    lake = Lake(tmp_path)
    assert lake.table("labels", "nih") == tmp_path / "labels" / "nih.parquet"
    assert lake.folder("images", "nih") == tmp_path / "images" / "nih"


def test_table_survives_the_round_trip_and_a_second_write_changes_no_byte(tmp_path: Path):
    path = tmp_path / "labels" / "t.parquet"
    written = write_table(path, ROWS, FindingTable)
    before = path.stat().st_mtime_ns
    write_table(path, ROWS, FindingTable)
    assert path.stat().st_mtime_ns == before
    assert read_table(path, FindingTable).equals(written)


def test_broken_rules_are_counted(tmp_path: Path):
    with pytest.raises(TableError, match=r"2 of 2 rows break primary_key \(2 rows\)"):
        write_table(tmp_path / "t.parquet", ROWS.with_columns(image_id=pl.lit("a")), FindingTable)


def test_missing_column_names_the_expected_ones(tmp_path: Path):
    with pytest.raises(TableError, match="Expected the columns image_id, finding, reader, value"):
        write_table(tmp_path / "t.parquet", ROWS.drop("value"), FindingTable)


def test_absent_table_names_the_asset_to_materialize(tmp_path: Path):
    with pytest.raises(TableError, match="materialize the asset labels/nih first"):
        read_table(tmp_path / "labels" / "nih.parquet", FindingTable)


def test_damaged_table_says_what_to_do_and_not_to_delete_it(tmp_path: Path):
    (tmp_path / "t.parquet").write_bytes(b"PAR1 but not really")
    with pytest.raises(TableError, match=r"t\.parquet is not a readable Parquet file .*Restore it.* or let the step"):
        read_table(tmp_path / "t.parquet", FindingTable)
