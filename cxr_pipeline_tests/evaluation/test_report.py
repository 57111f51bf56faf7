import json
import re
import shutil
from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from cxr_pipeline.errors import CheckpointError
from cxr_pipeline.evaluation.__main__ import main
from cxr_pipeline.evaluation.metrics import metric_rows
from cxr_pipeline.evaluation.report import ReportInputs, write_report
from cxr_pipeline.evaluation.scored import read_scored

PHANTOMS = "Phantoms: rendered pictures, not radiographs of people"


@pytest.fixture(scope="module")
def inputs(world, tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    jobs = [world.job(folder / "predict"), world.job(folder / "explain", task="explain", per_class=1)]
    assert [main([str(job)]) for job in jobs] == [0, 0]
    predictions, metrics = jobs[0] / "predictions.parquet", folder / "metrics.parquet"
    scored = read_scored(world.inputs.cohort, predictions)
    pq.write_table(metric_rows(scored, world.checkpoint.thresholds, samples=20), metrics)
    return ReportInputs(
        cohort=world.inputs.cohort,
        predictions=predictions,
        metrics=metrics,
        checkpoint=world.inputs.checkpoint,
        events=world.inputs.checkpoint.parent / "events.jsonl",
        explanations=jobs[1] / "explanations",
    )


@pytest.fixture(scope="module")
def folder(inputs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("written")
    write_report(inputs, folder)
    return folder


@pytest.fixture(scope="module")
def page(folder):
    return (folder / "report.html").read_text()


@pytest.fixture(scope="module")
def markdown(folder):
    return (folder / "report.md").read_text()


def visible(page):
    """The text of the page, without tags and style."""
    return " ".join(re.sub(r"<[^>]*>", " ", page[page.index("<body>") :]).split())


def test_source_that_was_not_trained_on_is_marked_external(inputs, tmp_path):
    shutil.copytree(inputs.checkpoint, tmp_path / "checkpoint")
    config = tmp_path / "checkpoint" / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"sources": ["nih"]}))
    write_report(replace(inputs, checkpoint=tmp_path / "checkpoint"), tmp_path)
    markdown, page = (tmp_path / "report.md").read_text(), visible((tmp_path / "report.html").read_text())
    assert "| test | chexpert (external) |" in markdown
    assert "| test | nih |" in markdown
    assert "external sources, not trained on: 0." in markdown
    assert "test, chexpert (external)" in page
    assert "trained on nih; other sources are external" in page


def test_nothing_is_external_where_all_sources_were_trained_on(markdown, page):
    assert "(external)" not in markdown + page


def with_cohort(inputs, path, **columns):
    """The same inputs with some columns of the cohort replaced."""
    table = pq.read_table(inputs.cohort)
    for name, column in columns.items():
        table = table.set_column(table.column_names.index(name), name, column(table))
    pq.write_table(table, path)
    return replace(inputs, cohort=path)


def test_the_first_line_says_that_these_are_phantoms(page, markdown):
    assert page.startswith("<!DOCTYPE html>")
    assert visible(page).startswith(f"{PHANTOMS} (chexpert, nih).")
    assert markdown.startswith(f"**{PHANTOMS} (chexpert, nih).")


def test_only_sources_with_phantoms_are_named_and_none_where_there_are_none(inputs, tmp_path):
    some = with_cohort(inputs, tmp_path / "some.parquet", is_phantom=lambda t: pc.equal(t["dataset"], "nih"))
    write_report(some, tmp_path / "some")
    assert (tmp_path / "some" / "report.md").read_text().startswith(f"**{PHANTOMS} (nih).")
    none = with_cohort(inputs, tmp_path / "none.parquet", is_phantom=lambda t: pc.equal(t["dataset"], "nobody"))
    write_report(none, tmp_path / "none")
    assert (tmp_path / "none" / "report.md").read_text().startswith("# Evaluation of `test_convnext`")
    assert PHANTOMS not in (tmp_path / "none" / "report.html").read_text()


def test_a_second_run_changes_no_byte(inputs, folder, tmp_path):
    before = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    write_report(inputs, folder)
    assert {path.name: path.stat().st_mtime_ns for path in folder.iterdir()} == before
    write_report(inputs, tmp_path)
    for name in ("report.html", "report.md"):
        assert (tmp_path / name).read_bytes() == (folder / name).read_bytes()


def test_the_page_asks_nobody_for_anything(page):
    sources = re.findall(r'src="([^"]*)', page)
    assert {uri.split(",")[0] for uri in sources} == {"data:image/jpeg;base64"}
    without_pictures = re.sub(r'src="[^"]*', "", page)
    assert not re.search(r"https?:|//[a-z]|<script|<link|@import|url\(", without_pictures, re.IGNORECASE)


def test_no_image_or_patient_is_named(inputs, page, markdown):
    cohort = pq.read_table(inputs.cohort)
    for text in (page, markdown):
        assert not any(name in text for name in cohort["image_id"].to_pylist() + cohort["patient_id"].to_pylist())


def test_numbers_of_the_metric_table_are_on_both(inputs, page, markdown):
    rows = {
        (row["source"], row["pathology"]): row
        for row in pq.read_table(inputs.metrics).to_pylist()
        if row["split"] == "test" and row["metric"] == "auroc"
    }
    mean = (rows["chexpert", "macro"]["value"] + rows["nih", "macro"]["value"]) / 2
    assert f"mean over sources: {mean:.3f}**" in markdown
    assert f'Macro AUROC on test, mean over sources</span><span class="number">{mean:.3f}<' in page
    for row in rows.values():
        assert f"<td>{row['value']:.3f}</td>" in page or f'">{row["value"]:.3f}</td>' in page
    macro = rows["all", "macro"]
    assert f"| test | all | {macro['value']:.3f} [{macro['low']:.3f}, {macro['high']:.3f}]" in markdown


def test_a_class_without_a_threshold_is_not_available(page):
    hernia = re.search(r"<tr><th scope=\"row\">Hernia</th>.*?</tr>", page, re.DOTALL).group()
    assert hernia.count("n/a") == 4  # F1, precision, recall, accuracy


def test_every_section_is_filled(page):
    for text in ("Curves on test", "Training", "Where the network looked", "Data", "Limits", "Not for clinical use"):
        assert text in page
    assert page.count('<path class="curve') >= 14
    assert page.count("<img") > 0
    assert "left no events" not in page


def test_markdown_is_short_and_without_html(markdown):
    assert len(markdown) < 6000
    assert "<" not in markdown


def test_names_are_escaped(inputs, tmp_path):
    def renamed(table):
        names = ["<b>x|y</b>" if name == "nih" else name for name in table["dataset"].to_pylist()]
        return pa.chunked_array([pa.array(names, pa.large_string())])

    odd = with_cohort(inputs, tmp_path / "cohort.parquet", dataset=renamed)
    write_report(odd, tmp_path / "report")
    page, markdown = ((tmp_path / "report" / name).read_text() for name in ("report.html", "report.md"))
    assert "&lt;b&gt;x|y&lt;/b&gt;" in page
    assert "<b>" not in page
    assert "&lt;b>x\\|y&lt;/b>" in markdown


def test_another_cohort_than_the_trained_one_is_pointed_out(inputs, page, tmp_path):
    assert "Trained on another cohort" not in page
    other = with_cohort(inputs, tmp_path / "cohort.parquet", is_phantom=lambda t: pc.equal(t["dataset"], "nih"))
    write_report(other, tmp_path / "report")
    for name in ("report.html", "report.md"):
        assert "Trained on another cohort" in (tmp_path / "report" / name).read_text()


@pytest.mark.parametrize(
    ("official", "is_phantom", "are_shown"), [("test", False, True), ("test", True, False), ("train_val", False, False)]
)
def test_published_figures_stand_only_beside_people_of_the_official_test_list(
    inputs, tmp_path, official, is_phantom, are_shown
):
    path = tmp_path / "cohort.parquet"
    everyone = with_cohort(inputs, path, is_phantom=lambda t: pa.array([is_phantom] * len(t)))
    table = pq.read_table(path)
    pq.write_table(table.append_column("official_split", pa.array([official] * len(table))), path)
    write_report(everyone, tmp_path / "report")
    page = (tmp_path / "report" / "report.html").read_text()
    for figure in ("4,376 images", "view position alone .588", ".835 (EVA-X B)", ".015 to .031"):
        assert (figure in page) == are_shown
    assert "mined from report text are often wrong" in page


def test_published_figures_are_absent_where_no_list_is_known(page):
    assert "EVA-X" not in page


def test_missing_events_and_pictures_leave_gaps(inputs, tmp_path):
    write_report(replace(inputs, events=tmp_path / "none", explanations=tmp_path), tmp_path / "report")
    page = (tmp_path / "report" / "report.html").read_text()
    assert "The training job left no events." in page
    assert "No picture may be shown, or none fits." in page


def test_a_missing_checkpoint_is_told(inputs, tmp_path):
    with pytest.raises(CheckpointError, match=r"No config\.json in"):
        write_report(replace(inputs, checkpoint=tmp_path), tmp_path / "report")
