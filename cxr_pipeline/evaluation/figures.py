"""Curves as SVG paths that the report's templates draw, so that colours follow the page. Numbers are not made here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cxr_pipeline.evaluation.curves import Curve
from cxr_pipeline.pathologies import PATHOLOGIES

SQUARE = 100  # side of a panel of unit curves, SVG units
WIDTH, HEIGHT = 320, 150  # of the plot area of a line chart, SVG units


@dataclass(frozen=True)
class Line:
    """A named path; `colour` numbers the page's colours from 0."""

    name: str
    path: str
    colour: int


@dataclass(frozen=True)
class Panel:
    """One class of a grid of small curves; without lines the class is n/a."""

    title: str
    lines: list[Line]


@dataclass(frozen=True)
class LineChart:
    """Values over epochs, with the ticks of both axes as (position in SVG units, label)."""

    title: str
    lines: list[Line]
    x_ticks: list[tuple[float, str]]
    y_ticks: list[tuple[float, str]]
    marker: float | None  # x of the best epoch


def curve_panels(by_source: Mapping[str, Mapping[str, Curve]]) -> list[Panel]:
    """One panel per class with one line per source, both in order; axes 0..1, origin at the lower left."""
    return [
        Panel(
            pathology.replace("_", " "),
            [
                Line(source, _unit_path(curves[pathology]), colour)
                for colour, (source, curves) in enumerate(by_source.items())
                if pathology in curves
            ],
        )
        for pathology in PATHOLOGIES
    ]


def training_charts(epochs: Sequence[Mapping[str, Any]]) -> list[LineChart]:
    """Loss, and macro AUROC on validation, over the `epoch` events of a training job; none without epochs."""
    if not epochs:
        return []
    charts = [
        _line_chart("Loss", epochs, {"train": "train_loss", "validation": "val_loss"}),
        _line_chart("Macro AUROC on validation", epochs, {"validation": "val_macro_auroc"}, first_colour=1),
        _line_chart("Learning rate", epochs, {"learning rate": "lr"}, first_colour=2),
    ]
    return [chart for chart in charts if chart.lines]


def _line_chart(
    title: str, epochs: Sequence[Mapping[str, Any]], series: Mapping[str, str], *, first_colour: int = 0
) -> LineChart:
    x_of = _scale(float(epochs[0]["epoch"]), float(epochs[-1]["epoch"]), WIDTH)
    known = {name: [(e["epoch"], e[key]) for e in epochs if e.get(key) is not None] for name, key in series.items()}
    values = [value for points in known.values() for _, value in points] or [0.0]
    ticks = _nice_ticks(min(values), max(values))
    y_of = _scale(ticks[0], ticks[-1], HEIGHT)
    lines = [
        Line(name, _path([(x_of(x), HEIGHT - y_of(y)) for x, y in points]), first_colour + i)
        for i, (name, points) in enumerate(known.items())
        if points
    ]
    best = [x_of(e["epoch"]) for e in epochs if e.get("best")]
    x_ticks = [
        (x_of(x), str(x)) for x in sorted({epochs[0]["epoch"], epochs[len(epochs) // 2]["epoch"], epochs[-1]["epoch"]})
    ]
    y_ticks = [(HEIGHT - y_of(tick), f"{tick:.3g}") for tick in ticks]
    return LineChart(title, lines, x_ticks, y_ticks, best[-1] if best else None)


def _scale(low: float, high: float, length: float) -> Any:
    """A function that maps low..high to 0..length; the middle where there is one value only."""
    return lambda value: length / 2 if high == low else round((value - low) / (high - low) * length, 2)


def _nice_ticks(low: float, high: float) -> list[float]:
    """Three to six round values that enclose low..high, at steps of 1, 2 or 5 times a power of ten."""
    span = (high - low) or abs(high) or 1.0
    power = 10.0 ** np.floor(np.log10(span / 3))
    step = power * next(m for m in (1, 2, 5, 10) if span / 3 <= m * power * (1 + 1e-9))
    first, last = np.floor(low / step + 1e-9), np.ceil(high / step - 1e-9)
    return [float(k * step) for k in np.arange(first, max(last, first + 1) + 1)]


def _unit_path(curve: Curve) -> str:
    """To half an SVG unit; points that fall together or lie on one straight run are dropped."""
    points = np.round(np.stack([curve.x, 1 - curve.y], axis=1) * SQUARE * 2) / 2
    moved = np.concatenate([[True], (np.diff(points, axis=0) != 0).any(axis=1)])
    points = points[moved]
    steps = np.sign(np.diff(points, axis=0))
    straight = (steps[1:] == steps[:-1]).all(axis=1) & (steps[1:] == 0).any(axis=1)
    return _path(points[np.concatenate([[True], ~straight, [True]])[: len(points)]])


def _path(points: Any) -> str:
    return "M" + "L".join(f"{x:g} {y:g}" for x, y in points)
