"""What a newcomer sees after the demo: the lineage and an asset page in Dagster, the report, in a real Chromium."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

from cxr_pipeline_tests.demo import Demo

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

pytestmark = [
    pytest.mark.browser,
    pytest.mark.xdist_group("demo"),
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here: `apt-get install chromium` (.ci/run does)"),
    # Playwright's own socket to its driver is closed when its loop is, after pytest has looked.
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    options = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--no-first-run"]
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=CHROMIUM, args=[*options, "--disable-background-networking"]
        )
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def addresses(demo: Demo) -> Iterator[dict[str, str]]:
    """The two addresses that `cxr ui` prints over the finished demo."""
    ports = {"CXR_UI_PORT": free_port(), "CXR_MLFLOW_PORT": free_port()}
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("CXR_", "DAGSTER_", "MLFLOW_"))}
    process = subprocess.Popen(
        [sys.executable, "-m", "cxr_pipeline.cli", "ui"],
        cwd=demo.folder,
        env={**clean, **{name: str(port) for name, port in ports.items()}},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        yield printed_addresses(process)
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert not any(is_open(port) for port in ports.values()), "a server outlived `cxr ui`"


def printed_addresses(process: subprocess.Popen[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    assert process.stdout is not None
    for line in process.stdout:
        if match := re.match(r"\s+(Dagster|MLflow)\s+(http://127\.0\.0\.1:\d+)\s*$", line):
            found[match[1]] = match[2]
        if len(found) == 2:
            return found
    raise AssertionError(f"`cxr ui` ended and printed only {found}")


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_lineage_shows_the_six_stages_without_errors_or_a_dialog(browser: Browser, addresses: dict[str, str]):
    page = browser.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(f"{addresses['Dagster']}/asset-groups/")
    page.get_by_role("button", name="Materialize all").wait_for()
    for stage in ("raw", "labels", "images", "split", "training", "evaluation"):
        page.get_by_text(stage, exact=True).first.wait_for()
    page.get_by_role("button", name="Materialize all").click(trial=True)  # nothing lies over it
    assert errors == []
    page.close()


def test_asset_page_shows_rows_columns_and_the_passed_check(browser: Browser, addresses: dict[str, str]):
    page = browser.new_page()
    page.goto(f"{addresses['Dagster']}/assets/labels/nih?view=overview")
    page.get_by_text("Row count", exact=True).wait_for()
    page.get_by_text("Pleural_Thickening", exact=True).first.wait_for()
    plot = page.get_by_alt_text("labels per class")
    plot.wait_for()
    assert plot.evaluate("image => image.complete && image.naturalWidth > 100")
    page.goto(f"{addresses['Dagster']}/assets/labels/nih?view=checks")
    page.get_by_text("schema").first.wait_for()
    page.get_by_text("Succeeded").first.wait_for()
    page.close()


def test_images_page_shows_its_pictures(browser: Browser, addresses: dict[str, str]):
    page = browser.new_page(viewport={"width": 1280, "height": 1000})
    page.goto(f"{addresses['Dagster']}/assets/images/nih?view=overview")
    for key in ("contact_sheet", "histograms"):
        page.locator("tr", has_text=key).get_by_text("Show Markdown").click()
        page.locator("img").first.wait_for()
        assert page.evaluate("[...document.images].every(image => image.complete && image.naturalWidth > 800)")
        assert page.evaluate("[...document.images].every(image => image.getBoundingClientRect().right < innerWidth)")
        page.get_by_role("button", name="Close").click()
        page.locator("img").first.wait_for(state="detached")
    page.close()


def test_checkpoint_page_leads_to_the_mlflow_run(browser: Browser, addresses: dict[str, str]):
    page = browser.new_page()
    page.goto(f"{addresses['Dagster']}/assets/training/checkpoint?view=overview")
    link = page.locator("a[href*='/#/experiments/']").first
    link.wait_for()
    run = str(link.get_attribute("href")).split("#", 1)[1]
    page.goto(f"{addresses['MLflow']}/#{run}")
    page.get_by_text("val_macro_auroc").first.wait_for()
    page.close()


def test_report_is_readable_offline(browser: Browser, demo: Demo):
    context = browser.new_context(offline=True, viewport={"width": 1200, "height": 900})
    page = context.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto((demo.lake / "evaluation" / "report" / "report.html").resolve().as_uri())
    assert "hantoms" in page.inner_text("body")[:120]
    assert page.locator("svg").count() > 0
    assert page.evaluate("[...document.images].every(image => image.complete && image.naturalWidth > 0)")
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert all(url.startswith(("file:", "data:")) for url in asked)
    context.close()
