"""Small SVG pictures of a split, short enough to stand in a Dagster asset page. Counting does not live here."""

import polars as pl

from cxr_pipeline.pathologies import PATHOLOGIES, SPLITS

_WIDTH, _ROW, _HALF = 120, 10, 20  # pixels: of a bar, of its row, of half a plot of deviations
_COLOURS = {"train": "#9bd", "val": "#ec5", "test": "#c44"}
_FULL = 0.5  # the deviation that reaches the edge


def plot_sizes(sizes: pl.DataFrame) -> str:
    """An SVG with one bar per source (`count_sizes`), in their order: its images as shares of train, val, test."""
    sources = sizes["dataset"].unique(maintain_order=True).to_list()
    strokes: dict[str, list[str]] = {split: [] for split in SPLITS}
    for number, source in enumerate(sources):
        own = dict(sizes.filter(pl.col("dataset") == source).select("split", "images").iter_rows())
        left, total = 0.0, sum(own.values())
        for split in SPLITS:
            width = own.get(split, 0) / total * _WIDTH
            strokes[split].append(f"M{left:.0f} {number * _ROW + 5}h{width:.0f}")
            left += width
    paths = [_path(_COLOURS[split], found) for split, found in strokes.items()]
    return _picture(_WIDTH, len(sources) * _ROW, paths)


def plot_deviations(summary: pl.DataFrame, source: str) -> str:
    """An SVG with two strokes per class, for val and test, up or down from the line by the deviation of its
    prevalence from that of `source`; the edge is 50 %."""
    rows = summary.filter(pl.col("dataset") == source, pl.col("split") != "train").select(
        "split", "pathology", pl.col("deviation").fill_null(0.0).clip(-_FULL, _FULL)
    )
    strokes: dict[str, list[str]] = {split: [] for split in SPLITS}
    for split, pathology, deviation in rows.iter_rows():
        x = PATHOLOGIES.index(pathology) * 8 + (2 if split == "val" else 5)
        strokes[split].append(f"M{x} {_HALF}v{-deviation / _FULL * _HALF:.0f}")
    line = _path("#888", [f"M0 {_HALF}h{len(PATHOLOGIES) * 8}"], width=1)
    paths = [line, *(_path(_COLOURS[split], found, width=3) for split, found in strokes.items() if found)]
    return _picture(len(PATHOLOGIES) * 8, 2 * _HALF, paths)


def _path(colour: str, strokes: list[str], *, width: int = 6) -> str:
    return f"<path stroke='{colour}' stroke-width='{width}' d='{''.join(strokes)}'/>"


def _picture(width: int, height: int, paths: list[str]) -> str:
    return f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}">{"".join(paths)}</svg>'
