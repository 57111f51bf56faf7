from collections import Counter
from pathlib import Path

import numpy as np

from cxr_pipeline.images.looks.thumbnails import quarantine_tiles
from cxr_pipeline_tests.images.stores import stored_source


def test_pictures_are_shown_and_the_rest_is_a_blank_tile_with_its_reason(tmp_path: Path):
    source = stored_source(tmp_path)
    tiles = {tile.caption: tile.pixels for tile in quarantine_tiles(source.index, source.root, limit=48)}
    assert set(tiles) == {"empty", "truncated", "blank", "colour photo", "absurd aspect"}
    assert tiles["empty"] is None
    assert tiles["truncated"] is None
    assert np.unique(tiles["blank"]).tolist() == [3000 // 257]
    assert tiles["absurd aspect"].shape == (40, 400)
    assert tiles["colour photo"].shape == (40, 60, 3)
    assert tiles["colour photo"][0, -1].tolist() == [59 * 4, 0, 0]  # red stays red


def test_a_rare_reason_is_shown_beside_a_frequent_one(tmp_path: Path):
    source = stored_source(tmp_path)
    empty = source.index.filter(source.index["quarantine"] == "empty")
    many = source.index.vstack(empty.clear().vstack(empty.sample(50, with_replacement=True, seed=1)))
    shown = Counter(tile.caption for tile in quarantine_tiles(many, source.root, limit=8))
    assert shown == {"empty": 4, "truncated": 1, "blank": 1, "colour photo": 1, "absurd aspect": 1}


def test_a_file_that_is_gone_by_now_is_a_blank_tile(tmp_path: Path):
    source = stored_source(tmp_path)
    (source.root / "d.png").unlink()
    tiles = {tile.caption: tile.pixels for tile in quarantine_tiles(source.index, source.root, limit=48)}
    assert tiles["colour photo"] is None
