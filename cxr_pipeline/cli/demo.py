"""`cxr demo`: phantoms, then the whole asset graph on the real Dagster instance of this project."""

import logging
import os
import time
import warnings
from pathlib import Path

from rich.console import Console

from cxr_pipeline.cli.servers import dagster_home
from cxr_pipeline.cli.steps import progress_bar
from cxr_pipeline.datasets import DATASETS
from cxr_pipeline.pipeline.evaluation import headline_metrics
from cxr_pipeline.settings import Settings
from cxr_pipeline.storage.lake import Lake, read_table
from cxr_pipeline.tables.evaluation import MetricTable

SEED = 20_261_122
PHANTOM_PIXELS = 96


def run_demo(settings: Settings, *, patients: int, epochs: int | None) -> bool:
    """Writes phantoms for each source without a folder of its own, materializes everything, says where to look."""
    os.environ["DAGSTER_HOME"] = dagster_home()
    started = time.monotonic()
    console = Console()
    rooted = settings.model_copy(update=_roots(settings, patients=patients))
    console.print("Materializing the asset graph ...")
    if not _materialize_everything(rooted, epochs=epochs):
        console.print("[red]The run failed:[/red] the messages above say why; `make ui` shows the run.")
        return False
    _say_where(rooted, seconds=time.monotonic() - started)
    return True


def _roots(settings: Settings, *, patients: int) -> dict[str, Path]:
    """The folder of every source: the user's own, or one with phantoms."""
    from cxr_pipeline.phantom.write import PhantomRequest, write_phantoms

    roots = {}
    for name in DATASETS:
        named = getattr(settings, f"{name}_root")
        roots[f"{name}_root"] = named or settings.phantom_root(name)
        if not named:
            with progress_bar(f"phantoms of {name}") as advance:
                request = PhantomRequest(name, patients=patients, seed=SEED, size=PHANTOM_PIXELS)
                write_phantoms(request, settings.phantom_root(name), on_progress=advance)
    return roots


def _materialize_everything(settings: Settings, *, epochs: int | None) -> bool:
    """Runs the job `everything` in this process, on the instance that the UI shows."""
    import dagster as dg

    from cxr_pipeline.defs.automation import EVERYTHING
    from cxr_pipeline.defs.build import build_definitions

    warnings.simplefilter("ignore", dg.PreviewWarning)  # Dagster's own use of its own preview function
    logging.getLogger("mlflow").setLevel(logging.WARNING)
    job = build_definitions(settings).resolve_job_def(EVERYTHING)
    overrides = {"ops": {"training__checkpoint": {"config": {"epochs": epochs}}}} if epochs else {}
    with dg.DagsterInstance.get() as instance:
        result = job.execute_in_process(
            instance=instance,
            run_config={**overrides, "loggers": {"console": {}}},
            raise_on_error=False,
            tags={"cxr/command": "cxr demo"},
        )
    return result.success


def _say_where(settings: Settings, *, seconds: float) -> None:
    console = Console()
    lake = Lake(settings.lake_root)
    metrics = read_table(lake.table("evaluation", "metrics"), MetricTable)
    console.print(f"\nDone in {seconds:.0f} s. Macro AUROC with 95 % interval:")
    for split, source, value, low, high in headline_metrics(metrics).rows():
        number = "n/a" if value is None else f"{value:.3f} [{low:.3f}, {high:.3f}]"
        console.print(f"  {split:5} {source:9} {number}", highlight=False, markup=False)
    report = lake.folder("evaluation", "report") / "report.html"
    console.print(f"\nReport   {report.resolve()}", soft_wrap=True, highlight=False, markup=False)
    console.print("Lineage, checks, runs and MLflow: make ui", highlight=False)
