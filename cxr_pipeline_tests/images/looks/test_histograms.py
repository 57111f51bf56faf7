import re
import xml.etree.ElementTree as ElementTree

import numpy as np

from cxr_pipeline.images.looks.histograms import Measured, draw_histograms

SVG = "{http://www.w3.org/2000/svg}"


def panels(measured: Measured, title: str = "t") -> list[ElementTree.Element]:
    return ElementTree.fromstring(draw_histograms(measured, title=title)).findall(f"{SVG}g")


def measured(heights=(), widths=(), means=(), spreads=()) -> Measured:
    return Measured(np.array(heights, int), np.array(widths, int), np.array(means, float), np.array(spreads, float))


def bars(panel: ElementTree.Element) -> list[tuple[float, float]]:
    """(x, height) of each bar."""
    (path,) = [p for p in panel.iter(f"{SVG}path") if "stroke-width" in p.attrib]
    return [(float(x), float(height)) for x, height in re.findall(r"M([\d.]+) 180v-([\d.]+)", path.attrib["d"])]


def ticks(panel: ElementTree.Element, anchor: str) -> list[str]:
    texts = [t.text or "" for t in panel.iter(f"{SVG}text") if t.attrib["text-anchor"] == anchor]
    return [text for text in texts if text[0].isdigit()]


def test_bars_are_as_high_as_numpy_counts():
    means = np.random.default_rng(0).uniform(0, 255, 1000)
    panel = panels(measured([1], [1], means, [1]))[1]
    counts, edges = np.histogram(means, bins=64, range=(0, 256))
    top = int(ticks(panel, "end")[-1])
    assert top % 4 == 0
    assert top - 4 < counts.max() <= top
    centres = (edges[:-1] + edges[1:]) / 2 * 240 / 256
    expected = [(x, count / top * 180) for x, count in zip(centres, counts, strict=True) if count]
    np.testing.assert_allclose(bars(panel), expected, atol=0.06)


def test_each_size_is_a_cell_at_its_place_and_frequent_ones_are_darker():
    panel = panels(measured([1000] * 99 + [3000], [2000] * 99 + [500], [9], [9]))[0]
    cells = [{k: float(v) for k, v in rect.attrib.items()} for rect in panel.iter(f"{SVG}rect")]
    assert ticks(panel, "middle")[-1] == ticks(panel, "end")[-1] == "3,072"
    for width, height in ((2000, 1000), (500, 3000)):
        x, y = width / 3072 * 240, 180 - height / 3072 * 180
        assert sum(c["x"] <= x < c["x"] + c["width"] and c["y"] < y <= c["y"] + c["height"] for c in cells) == 1
    assert [c["fill-opacity"] for c in sorted(cells, key=lambda c: c["x"])] == [0.36, 1.0]


def test_picture_is_the_same_for_a_million_images_in_bytes_to_ship():
    rng = np.random.default_rng(1)
    sizes = rng.integers(500, 4000, (2, 1_000_000))
    text = draw_histograms(Measured(*sizes, rng.uniform(0, 255, 10**6), rng.uniform(0, 127, 10**6)), title="t")
    assert len(text) < 300_000


def test_no_image_and_an_odd_title_still_make_a_picture():
    assert len(panels(measured(), "a < b & c")) == 3
