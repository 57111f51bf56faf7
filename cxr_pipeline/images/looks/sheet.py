"""Draws a contact sheet: many small pictures in a grid, for a person's glance. Which pictures is not decided here."""

import io
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

COLUMNS, ROWS = 8, 6
SIDE = 160  # of a tile, pixels
MAX_PREVIEW_BYTES = 110_000  # 147,000 characters once it is base64
PREVIEW_WIDTH = 960  # pixels: Dagster's dialog takes four fifths of a window and cuts off the rest

_GAP, _MARGIN = 6, 14  # between tiles, around them
_TITLE, _TEXT = 19, 14  # heights of letters
_LINE = 20  # from one line of text to the next
_LETTER = 7  # mean width of a letter of _TEXT
_PAPER, _INK, _FAINT, _EMPTY = (17, 17, 20), (235, 235, 235), (160, 160, 165), (44, 44, 50)


@dataclass(frozen=True)
class Tile:
    """One picture uint8, grey [height, width] or RGB [height, width, 3], of any size; without one, a blank tile."""

    pixels: npt.NDArray[np.uint8] | None
    caption: str = ""


def draw_sheet(tiles: Sequence[Tile], *, title: str, notes: Sequence[str] = ()) -> Image.Image:
    """`tiles`, COLUMNS in a row, under `title` and above `notes`, which are wrapped; grey where all tiles are."""
    columns = min(COLUMNS, max(len(tiles), 4))  # four hold a title
    width = 2 * _MARGIN + columns * (SIDE + _GAP) - _GAP
    lines = [line for note in notes for line in textwrap.wrap(note, (width - 2 * _MARGIN) // _LETTER)]
    pitch = SIDE + _GAP + (_LINE if any(tile.caption for tile in tiles) else 0)
    top = 2 * _MARGIN + _TITLE
    bottom = top + -(-len(tiles) // columns) * pitch
    sheet = Image.new("RGB", (width, bottom + len(lines) * _LINE + _MARGIN), _PAPER)
    _write(sheet, (_MARGIN, _MARGIN), title, size=_TITLE)
    for number, tile in enumerate(tiles):
        row, column = divmod(number, columns)
        _put(sheet, tile, (_MARGIN + column * (SIDE + _GAP), top + row * pitch))
    for number, line in enumerate(lines):
        _write(sheet, (_MARGIN, bottom + 4 + number * _LINE), line, colour=_FAINT)
    has_colour = any(tile.pixels is not None and tile.pixels.ndim == 3 for tile in tiles)
    return sheet if has_colour else sheet.convert("L")


def encode_png(sheet: Image.Image) -> bytes:
    """The sheet as it is; the same sheet gives the same bytes."""
    buffer = io.BytesIO()
    sheet.save(buffer, "PNG")
    return buffer.getvalue()


def encode_preview(sheet: Image.Image, *, max_bytes: int = MAX_PREVIEW_BYTES) -> bytes:
    """The sheet as a JPEG of at most `max_bytes` that fits a Dagster page: lower quality first, then fewer pixels."""
    width = min(PREVIEW_WIDTH, sheet.width)
    while True:
        small = sheet.resize((width, round(sheet.height * width / sheet.width)), Image.Resampling.LANCZOS)
        for quality in (85, 70, 55):
            buffer = io.BytesIO()
            small.save(buffer, "JPEG", quality=quality, optimize=True)
            if buffer.tell() <= max_bytes or width < 100:
                return buffer.getvalue()
        width = width * 4 // 5


def _put(sheet: Image.Image, tile: Tile, corner: tuple[int, int]) -> None:
    left, top = corner
    square = Image.new("RGB", (SIDE, SIDE), _EMPTY if tile.pixels is None else (0, 0, 0))
    if tile.pixels is not None:
        picture = Image.fromarray(tile.pixels).convert("RGB")
        scale = SIDE / max(picture.size)
        size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
        square.paste(picture.resize(size, Image.Resampling.LANCZOS), ((SIDE - size[0]) // 2, (SIDE - size[1]) // 2))
    sheet.paste(square, corner)
    if tile.caption:
        _write(sheet, (left + 2, top + SIDE + 2), tile.caption, colour=_FAINT)


def _write(
    sheet: Image.Image,
    corner: tuple[int, int],
    text: str,
    *,
    size: int = _TEXT,
    colour: tuple[int, int, int] = _INK,
) -> None:
    ImageDraw.Draw(sheet).text(corner, text, fill=colour, font=ImageFont.load_default(size=size))
