"""Pictures as metadata: what a browser finds in the Markdown. That a page shows them is seen in `test_browser.py`."""

import base64
import re

import polars as pl
import pytest

from cxr_pipeline.defs.pictures import show_picture
from cxr_pipeline.labels.plots import plot_labels
from cxr_pipeline.labels.summary import count_labels
from cxr_pipeline.pathologies import PATHOLOGIES, SPLITS
from cxr_pipeline.split.plots import plot_deviations, plot_sizes
from cxr_pipeline_tests.split.tables import label_rows


def labels() -> str:
    return plot_labels(count_labels(label_rows("nih", ["1", "2"], [None, None])))


def sizes() -> str:
    rows = [("nih", split, 5) for split in SPLITS]
    return plot_sizes(pl.DataFrame(rows, schema=["dataset", "split", "images"], orient="row"))


def deviations() -> str:
    rows = [("nih", split, pathology, 0.2) for split in SPLITS for pathology in PATHOLOGIES]
    return plot_deviations(
        pl.DataFrame(rows, schema=["dataset", "split", "pathology", "deviation"], orient="row"), "nih"
    )


@pytest.mark.parametrize("draw", [labels, sizes, deviations])
def test_address_of_a_plot_ends_at_no_blank_quote_or_bracket(draw):
    markdown = show_picture("a plot", draw()).value
    link = re.fullmatch(r"!\[a plot]\(data:image/svg\+xml;base64,([^\s\"'()<>\[\]]+)\)", markdown)
    assert base64.b64decode(link[1]).decode() == draw()
    assert len(markdown) < 1000  # Dagster puts what is longer behind a button


def test_bytes_are_a_jpeg():
    picture = bytes(range(256))
    address = show_picture("pairs", picture).value.removeprefix("![pairs](data:image/jpeg;base64,").removesuffix(")")
    assert base64.b64decode(address, validate=True) == picture
