import io

import numpy as np
import pytest
from PIL import Image

from cxr_pipeline.images.looks.sheet import COLUMNS, PREVIEW_WIDTH, SIDE, Tile, draw_sheet, encode_png, encode_preview


def noise(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def bright_parts(sheet: Image.Image) -> int:
    """Connected columns of white: tiles in a row are parted by the paper."""
    column_is_bright = (np.asarray(sheet.convert("L")) > 250).any(axis=0)
    return int((np.diff(column_is_bright.astype(int)) == 1).sum())


def test_every_tile_of_a_row_is_there_and_they_stay_apart():
    white = Tile(np.full((30, 30), 255, np.uint8))
    assert bright_parts(draw_sheet([white] * COLUMNS, title="")) == COLUMNS


def test_another_row_makes_the_sheet_higher_by_one_tile():
    tile = Tile(noise(0, 20, 20))
    heights = [draw_sheet([tile] * n, title="t").height for n in (1, COLUMNS, COLUMNS + 1)]
    assert heights[0] == heights[1]
    assert heights[2] - heights[1] > SIDE


def test_aspect_is_kept_within_the_tile():
    sheet = np.asarray(draw_sheet([Tile(np.full((10, 40), 255, np.uint8))], title=""))
    rows, columns = np.nonzero(sheet == 255)
    assert np.ptp(columns) + 1 == SIDE
    assert np.ptp(rows) + 1 == SIDE // 4


def test_sheet_of_grey_tiles_is_grey_and_one_colour_tile_keeps_its_colour():
    grey, red = Tile(noise(1, 8, 8)), Tile(np.full((8, 8, 3), (255, 0, 0), np.uint8))
    assert draw_sheet([grey], title="").mode == "L"
    sheet = np.asarray(draw_sheet([grey, red], title=""))
    assert (sheet == (255, 0, 0)).all(axis=2).sum() == SIDE**2


def test_a_long_note_is_wrapped_and_makes_room_for_itself():
    tile = Tile(noise(2, 8, 8))
    short, long = (draw_sheet([tile], title="t", notes=[note]) for note in ("note", "a note " * 60))
    assert long.width == short.width
    assert long.height > short.height + 40


@pytest.mark.parametrize("max_bytes", [110_000, 20_000])
def test_preview_keeps_its_bytes_even_of_noise(max_bytes: int):
    sheet = draw_sheet([Tile(noise(i, 160, 160)) for i in range(48)], title="48 tiles", notes=["credit"])
    data = encode_preview(sheet, max_bytes=max_bytes)
    with Image.open(io.BytesIO(data)) as preview:
        assert preview.format == "JPEG"
        assert preview.width <= PREVIEW_WIDTH
        assert preview.width / preview.height == pytest.approx(sheet.width / sheet.height, rel=0.02)
    assert len(data) <= max_bytes


def test_png_shows_the_sheet_and_is_the_same_each_time():
    sheet = draw_sheet([Tile(noise(3, 30, 20), "caption")], title="t")
    with Image.open(io.BytesIO(encode_png(sheet))) as again:
        np.testing.assert_array_equal(np.asarray(again), np.asarray(sheet))
    assert encode_png(sheet) == encode_png(draw_sheet([Tile(noise(3, 30, 20), "caption")], title="t"))
