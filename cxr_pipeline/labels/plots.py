"""Small SVG pictures of a label table, short enough to stand in a Dagster asset page (1,000 characters of base64)."""

import polars as pl

_BAR, _HEIGHT = 8, 40  # width of a class and height of the plot, pixels
_COLOURS = {"positive": "#c44", "negative": "#9bd", "uncertain": "#ec5"}  # the rest of a bar is unknown


def plot_labels(counts: pl.DataFrame) -> str:
    """An SVG with one stacked bar per class (`count_labels`), in the order of the label space, heights in shares."""
    totals = counts.select(pl.sum_horizontal("positive", "negative", "uncertain", "unknown")).to_series()
    base = [0.0] * counts.height
    paths = []
    for kind, colour in _COLOURS.items():
        heights = [count / total * _HEIGHT if total else 0.0 for count, total in zip(counts[kind], totals, strict=True)]
        paths.append(_path(base, heights, colour))
        base = [low + height for low, height in zip(base, heights, strict=True)]
    width = counts.height * _BAR
    return f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{_HEIGHT}">{"".join(paths)}</svg>'


def _path(base: list[float], heights: list[float], colour: str) -> str:
    """Vertical strokes, one per class with a visible height, from the bottom upwards."""
    strokes = [
        f"M{i * _BAR + 4} {_HEIGHT - low:.0f}v-{height:.0f}"
        for i, (low, height) in enumerate(zip(base, heights, strict=True))
        if height >= 0.5
    ]
    return f"<path stroke='{colour}' stroke-width='6' d='{''.join(strokes)}'/>" if strokes else ""
