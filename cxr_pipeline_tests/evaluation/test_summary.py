import pyarrow.parquet as pq
import pytest

from cxr_pipeline.errors import TableError
from cxr_pipeline.evaluation.metrics import metric_rows
from cxr_pipeline.evaluation.summary import Number, count_classes, count_sources, headline, read_tables
from cxr_pipeline_tests.evaluation.cases import HALF, scored_images

BOTH = ("chexpert", "nih")


@pytest.fixture(scope="module")
def scored():
    labels = scored_images(80).cohort.labels
    labels[:40, 3] = 0
    labels[40, 0], labels[41, 0] = float("nan"), -1
    splits, sources = ["test", "test", "test", "val"] * 20, ["nih"] * 40 + ["chexpert"] * 40
    return scored_images(labels=labels, splits=splits, sources=sources)


@pytest.fixture(scope="module")
def metrics(scored, tmp_path_factory):
    path = tmp_path_factory.mktemp("metrics") / "metrics.parquet"
    table = metric_rows(scored, HALF, samples=10)
    pq.write_table(table.take(list(reversed(range(table.num_rows)))), path)
    return path


def test_tables_come_test_first_and_all_sources_last(metrics):
    found = [(table.split, table.source) for table in read_tables(metrics, trained_on=BOTH)]
    assert found == [(split, source) for split in ("test", "val") for source in ("chexpert", "nih", "all")]


def test_the_headline_is_the_plain_mean_over_sources(metrics):
    read = read_tables(metrics, trained_on=BOTH)
    tables = {(table.split, table.source): table.macro.numbers["auroc"] for table in read}
    found = headline(read)
    chexpert, nih = tables["test", "chexpert"].value, tables["test", "nih"].value
    assert found.mean == pytest.approx((chexpert + nih) / 2, abs=1e-12)
    assert found.pooled == tables["test", "all"]
    assert list(found.by_source) == ["chexpert", "nih"]


def test_source_that_was_not_trained_on_is_external_and_has_a_mean_of_its_own(metrics):
    tables = read_tables(metrics, trained_on=["nih"])
    auroc = {table.source: table.macro.numbers["auroc"].value for table in tables if table.split == "test"}
    assert [(t.name, t.is_external) for t in tables[:3]] == [
        ("chexpert (external)", True),
        ("nih", False),
        ("all", False),
    ]
    found = headline(tables)
    assert (found.mean, found.external) == (auroc["nih"], auroc["chexpert"])
    assert list(found.by_source) == ["chexpert (external)", "nih"]


def test_without_external_sources_nothing_is_said_of_them(metrics):
    assert headline(read_tables(metrics, trained_on=BOTH)).external_text == ""


def test_without_test_images_the_headline_is_not_available(metrics):
    found = headline([table for table in read_tables(metrics, trained_on=BOTH) if table.split == "val"])
    assert (found.text, found.pooled.text, found.by_source) == ("n/a", "n/a", {})


def test_what_is_not_available_is_written_as_such(metrics):
    nih = read_tables(metrics, trained_on=BOTH)[1]
    edema = nih.rows[3].numbers["auroc"]
    assert (edema.text, edema.interval) == ("n/a", "")
    assert (Number(0.5, 0.25, 1.0).text, Number(0.5, 0.25, 1.0).interval) == ("0.500", "[0.250, 1.000]")


def test_images_and_patients_are_counted_per_source_and_split(scored):
    counts = {count.source: (count.images, count.patients) for count in count_sources(scored.cohort)}
    assert counts["nih"] == ([30, 10, 0], [20, 10, 0])
    assert counts["all"] == ([60, 20, 0], [40, 20, 0])


def test_positives_are_counted_among_known_labels(scored):
    first = count_classes(scored.cohort)[0]
    test = scored.cohort.select("test").labels[:, 0]
    assert first.known == [58, 20, 0]
    assert first.positives == [int((test == 1).sum()), int((scored.cohort.select("val").labels[:, 0] == 1).sum()), 0]


def test_absent_metrics_are_told(tmp_path):
    with pytest.raises(TableError, match="No metrics at"):
        read_tables(tmp_path / "metrics.parquet", trained_on=BOTH)
