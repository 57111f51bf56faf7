import xml.etree.ElementTree as ElementTree

import polars as pl

from cxr_pipeline.defs.pictures import show_picture
from cxr_pipeline.labels.plots import plot_labels
from cxr_pipeline.labels.summary import count_labels
from cxr_pipeline_tests.split.tables import label_rows


def test_plot_is_short_enough_to_stand_in_the_page():
    rows = label_rows("nih", [str(i) for i in range(100)], [None] * 100)
    mixed = rows.with_columns(
        pl.Series(name, [1] * 33 + [0] * 34 + [-1] * 33, dtype=pl.Int8)
        for name in rows.columns
        if rows.schema[name] == pl.Int8
    )
    assert len(show_picture("labels per class", plot_labels(count_labels(mixed))).value) < 1000


def test_bars_are_as_high_as_the_shares():
    rows = label_rows("nih", ["1", "2", "3", "4"], [None] * 4).with_columns(Mass=pl.Series([1, 0, 0, 0], dtype=pl.Int8))
    paths = {p.attrib["stroke"]: p.attrib["d"] for p in ElementTree.fromstring(plot_labels(count_labels(rows)))}
    assert paths["#c44"] == "M76 40v-10"  # Mass is the tenth class; a quarter of 40 pixels
    assert "M76 30v-30" in paths["#9bd"]


def test_empty_table_has_an_empty_plot():
    empty = label_rows("nih", ["1"], [None]).clear()
    assert len(ElementTree.fromstring(plot_labels(count_labels(empty)))) == 0
