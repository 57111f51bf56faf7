"""The quarantine check and the pictures in the asset page, through Dagster."""

import base64
import io
import re
from pathlib import Path

import dagster as dg
import pytest
from PIL import Image

from cxr_pipeline.datasets import DATASETS
from cxr_pipeline.defs.image_checks import judge_quarantine, quarantine_check
from cxr_pipeline.defs.images import images_asset
from cxr_pipeline.defs.pictures import looks_metadata, show_picture
from cxr_pipeline.defs.raw import raw_asset
from cxr_pipeline.defs.resources import Installation
from cxr_pipeline.images.looks.files import write_looks
from cxr_pipeline.images.prepare.quarantine import QuarantineCount
from cxr_pipeline.phantom.write import PhantomRequest, write_phantoms
from cxr_pipeline.settings import Settings
from cxr_pipeline_tests.images.stores import stored_source

NIH = DATASETS["nih"]


def judge(files: int, bad: int) -> dg.AssetCheckResult:
    count = QuarantineCount(files, missing=3, reasons={"truncated": bad} if bad else {})
    return judge_quarantine(count, warn_share=0.01, fail_share=0.2)


@pytest.mark.parametrize(
    ("files", "bad", "passed", "severity"),
    [
        (0, 0, True, "WARN"),
        (1000, 10, True, "WARN"),
        (1000, 11, False, "WARN"),
        (1000, 200, False, "WARN"),
        (1000, 201, False, "ERROR"),
    ],
)
def test_share_in_quarantine_decides_between_pass_warning_and_error(files: int, bad: int, passed: bool, severity: str):
    result = judge(files, bad)
    assert (result.passed, result.severity.value) == (passed, severity)


def test_missing_files_are_told_apart_and_reasons_are_counted():
    metadata = judge(100, 5).metadata
    assert metadata["images_without_a_file"].value == 3
    assert metadata["quarantined_percent"].value == 5.0
    assert "truncated | 5" in metadata["reasons"].value


def test_a_failed_check_says_what_was_expected_and_what_to_do():
    told = judge(100, 25).description
    assert "25 of 100 image files (25.00%)" in told
    assert "1.00% (CXR_QUARANTINE_WARN_SHARE)" in told
    assert "20.00% (CXR_QUARANTINE_FAIL_SHARE)" in told
    assert "`cxr images doctor FOLDER`" in told
    assert judge(100, 1).description is None


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    write_phantoms(PhantomRequest("nih", patients=8, seed=1, size=64), tmp_path / "nih", workers=1)
    return Settings(home=tmp_path / "home", nih_root=tmp_path / "nih")


def materialize(settings: Settings) -> dg.ExecuteInProcessResult:
    @dg.asset(key=["split", "cohort"], deps=[["images", "nih"]])
    def cohort() -> None:
        pass

    return dg.materialize(
        [raw_asset(NIH), images_asset(NIH), cohort, quarantine_check(NIH)],
        resources={"installation": Installation.of(settings, image_size=64)},
        raise_on_error=False,
    )


def made(result: dg.ExecuteInProcessResult) -> set[str]:
    return {event.asset_key.to_user_string() for event in result.get_asset_materialization_events()}


def test_a_source_that_is_mostly_unreadable_stops_the_cohort(settings: Settings):
    files = sorted(settings.nih_root.rglob("*.png"))
    for path in files[: len(files) // 2]:
        path.write_bytes(b"<html>not found</html>")
    result = materialize(settings)
    assert made(result) == {"raw/nih", "images/nih"}
    evaluation = next(e for e in result.get_asset_check_evaluations() if e.check_name == "quarantine")
    assert evaluation.severity == dg.AssetCheckSeverity.ERROR
    assert evaluation.metadata["quarantined"].value == len(files) // 2


def test_a_few_bad_files_warn_and_stop_nothing_and_the_page_shows_them(settings: Settings):
    files = sorted(settings.nih_root.rglob("*.png"))
    files[0].write_bytes(b"")
    files[1].unlink()
    result = materialize(settings)
    assert made(result) == {"raw/nih", "images/nih", "split/cohort"}
    evaluation = next(e for e in result.get_asset_check_evaluations() if e.check_name == "quarantine")
    assert (evaluation.passed, evaluation.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert evaluation.metadata["images_without_a_file"].value == 1
    (page,) = (e for e in result.asset_materializations_for_node("images__nih"))
    assert {"contact_sheet", "quarantine_sheet", "histograms"} <= set(page.metadata)


def test_pictures_in_the_page_are_whole_and_small(tmp_path: Path):
    source = stored_source(tmp_path)
    shown = looks_metadata(write_looks(source, tmp_path / "reports"), "nih")
    match = re.fullmatch(r"!\[contact sheet]\(data:image/jpeg;base64,([A-Za-z0-9+/=]+)\)", shown["contact_sheet"].value)
    with Image.open(io.BytesIO(base64.b64decode(match[1]))) as picture:
        picture.load()
    assert sum(len(str(value.value)) for value in shown.values()) < 400_000
    assert len(shown["contact_sheet"].value) < 150_000
    histograms = (tmp_path / "reports" / "nih-histograms.svg").read_text()
    assert shown["histograms"] == show_picture("histograms", histograms)


def test_page_of_a_restricted_source_has_the_term_and_no_pixels(tmp_path: Path):
    source = stored_source(tmp_path, dataset="mimic")
    shown = looks_metadata(write_looks(source, tmp_path / "reports"), "mimic")
    assert "PhysioNet" in shown["contact_sheet"].value
    assert "image/jpeg" not in str(shown)
    assert "quarantine_sheet" not in shown


def test_source_that_is_not_used_has_nothing_to_show():
    assert looks_metadata(None, "nih") == {}
