"""Draws what a store's index measured: sizes of the originals and grey values of the stored pixels, as one SVG."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

_WIDTH, _HEIGHT = 240, 180  # of one panel, SVG units
_LEFT, _TOP, _RIGHT, _BOTTOM = 52, 56, 18, 48  # around a panel
_SIZE_CELLS, _GREY_BARS = 48, 64
_INK, _FAINT, _BLUE = "#333", "#d4d8de", "#2f6db3"
_MIN_OPACITY = 0.25  # a single image among a million is still to be seen
_SIZE_STEP = 512  # pixels: the axes of the sizes end at a multiple


@dataclass(frozen=True)
class Measured:
    """Columns of a `tables.StoreIndex`, each of any length and without nulls."""

    heights: npt.NDArray[np.int64]  # of the originals, pixels
    widths: npt.NDArray[np.int64]
    means: npt.NDArray[np.float64]  # grey values of the stored pixels, bars included, 0..255
    spreads: npt.NDArray[np.float64]  # their standard deviation


def draw_histograms(measured: Measured, *, title: str) -> str:
    """An SVG of three panels: width against height of the originals, mean grey value, and spread of grey values."""
    panels = [
        _sizes(measured.widths, measured.heights),
        _bars(measured.means, top=256, name="mean grey value of an image"),
        _bars(measured.spreads, top=128, name="spread of grey values in an image"),
    ]
    pitch = _LEFT + _WIDTH + _RIGHT
    placed = [f'<g transform="translate({i * pitch + _LEFT} {_TOP})">{panel}</g>' for i, panel in enumerate(panels)]
    width, height = len(panels) * pitch, _TOP + _HEIGHT + _BOTTOM
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        f'font-family="sans-serif" font-size="11" fill="{_INK}"><rect width="{width}" height="{height}" fill="#fff"/>'
        f'<text x="{_LEFT}" y="20" font-size="14">{_escape(title)}</text>{"".join(placed)}</svg>\n'
    )


def _sizes(widths: npt.NDArray[np.int64], heights: npt.NDArray[np.int64]) -> str:
    """A cell is the darker, the more images fall into it, by logarithm."""
    top = _up_to(int(max(widths.max(initial=1), heights.max(initial=1))) + 1, _SIZE_STEP)  # no picture on the rim
    edges = np.linspace(0, top, _SIZE_CELLS + 1)
    counts = np.histogram2d(widths, heights, bins=(edges, edges))[0]
    shade = np.log1p(counts) / np.log1p(counts.max() or 1)
    across, up = _WIDTH / _SIZE_CELLS, _HEIGHT / _SIZE_CELLS
    cells = [
        f'<rect x="{x * across:g}" y="{_HEIGHT - (y + 1) * up:g}" width="{across:g}" height="{up:g}" '
        f'fill-opacity="{_MIN_OPACITY + (1 - _MIN_OPACITY) * shade[x, y]:.2f}"/>'
        for x, y in np.argwhere(counts)
    ]
    frame = _frame(top, top, x_name="width of the original, pixels", y_name="height")
    return f'{frame}<g fill="{_BLUE}">{"".join(cells)}</g>'


def _bars(values: npt.NDArray[np.float64], *, top: int, name: str) -> str:
    counts, _ = np.histogram(values, bins=_GREY_BARS, range=(0, top))
    highest = _up_to(int(counts.max()), 4)
    step = _WIDTH / _GREY_BARS
    strokes = [
        f"M{(i + 0.5) * step:g} {_HEIGHT}v-{count / highest * _HEIGHT:.1f}" for i, count in enumerate(counts) if count
    ]
    path = f'<path stroke="{_BLUE}" stroke-width="{step * 0.86:.2f}" d="{"".join(strokes)}"/>'
    return f"{_frame(top, highest, x_name=name, y_name='images')}{path}"


def _frame(right: int, top: int, *, x_name: str, y_name: str) -> str:
    """Axes from 0 to `right` and `top`, multiples of four, with ticks at the quarters."""
    lines, words = [f"M0 0v{_HEIGHT}h{_WIDTH}"], []
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        x, y = share * _WIDTH, _HEIGHT - share * _HEIGHT
        lines.append(f"M{x:g} {_HEIGHT}v4M-4 {y:g}h4")
        words.append(_text(x, _HEIGHT + 17, f"{share * right:,.0f}", anchor="middle"))
        words.append(_text(-7, y + 4, f"{share * top:,.0f}", anchor="end"))
    words += [_text(_WIDTH / 2, _HEIGHT + 36, x_name, anchor="middle"), _text(0, -10, y_name, anchor="middle")]
    return f'<path stroke="{_FAINT}" fill="none" d="{"".join(lines)}"/>{"".join(words)}'


def _up_to(number: int, step: int) -> int:
    """The least multiple of `step` that is positive and not below `number`."""
    return max(1, -(-number // step)) * step


def _text(x: float, y: float, text: str, *, anchor: str) -> str:
    return f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}">{text}</text>'


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;")
