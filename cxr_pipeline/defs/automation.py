"""When tables are made without a person: on new data and every night. Training is never started from here."""

import json

import dagster as dg

from cxr_pipeline.datasets import DATASETS
from cxr_pipeline.datasets.inventory import fingerprint
from cxr_pipeline.defs.resources import Installation
from cxr_pipeline.errors import CxrError
from cxr_pipeline.labels.reports.imports import StatesFile
from cxr_pipeline.labels.reports.tables import is_reported
from cxr_pipeline.storage.files import file_digest

HARMONIZE = "harmonize"
SENSOR_SECONDS = 300  # a fingerprint stats every image file: seconds for a collection of 400,000
NIGHTLY = "0 2 * * *"

harmonize = dg.define_asset_job(
    HARMONIZE,
    dg.AssetSelection.groups("raw", "labels", "images", "split"),
    description="All sources again, down to the cohort; only what is new or changed is decoded",
)


@dg.sensor(
    job=harmonize,
    minimum_interval_seconds=SENSOR_SECONDS,
    description="Asks for one run when files of any source have changed: these sources, then the cohort",
)
def new_raw_data(context: dg.SensorEvaluationContext, installation: Installation) -> dg.SensorResult | dg.SkipReason:
    """One run per tick, whatever the number of changed sources: two runs at once would write the same cohort."""
    seen: dict[str, str] = json.loads(context.cursor or "{}")
    found, unreadable = fingerprint_sources(installation)
    changed = [name for name in found if found[name] != seen.get(name)]
    if not changed:
        return dg.SkipReason(_why_skipped(found, unreadable))
    # A source that cannot be read now keeps its old mark: when it is back unchanged, nothing has happened.
    cursor = json.dumps({**seen, **found}, sort_keys=True)
    # The first time everything is made: the cohort also reads the (empty) tables of sources that are not used.
    selection = _selection(changed) if seen else None
    request = dg.RunRequest(run_key=cursor, asset_selection=selection, tags={"cxr/changed_sources": ",".join(changed)})
    return dg.SensorResult([request], cursor=cursor)


nightly = dg.ScheduleDefinition(
    name="nightly_harmonize",
    job=harmonize,
    cron_schedule=NIGHTLY,
    description="Every night at two: catches what changed without a trace in sizes and times",
)


def fingerprint_sources(installation: Installation) -> tuple[dict[str, str], list[str]]:
    """(source -> fingerprint, sources that are used here but cannot be read); unused sources are in neither."""
    found, unreadable = {}, []
    for name, dataset in DATASETS.items():
        root = installation.root_of(name)
        if root is None:
            continue
        try:
            found[name] = fingerprint(dataset, root) + _mark_of_states(installation.states_of(name))
        except (CxrError, OSError):
            unreadable.append(name)
    return found, unreadable


def _selection(changed: list[str]) -> list[dg.AssetKey]:
    keys = [dg.AssetKey([stage, name]) for name in changed for stage in ("raw", "labels", "images")]
    reported = [name for name in changed if is_reported(DATASETS[name])]
    reports = [dg.AssetKey(["labels", f"{what}_{name}"]) for name in reported for what in ("reports", "imported")]
    return [*keys, *reports, *(dg.AssetKey(["split", name]) for name in ("duplicates", "cohort", "summary"))]


def _mark_of_states(file: StatesFile | None) -> str:
    """What the labels of a source also rest on: the states that other labelers found, and whose are used."""
    return f"+{file.labeler}:{file_digest(file.path)}" if file else ""


def _why_skipped(found: dict[str, str], unreadable: list[str]) -> str:
    reason = f"No change in {', '.join(found) or 'any source'}"
    return f"{reason}; cannot read {', '.join(unreadable)}" if unreadable else reason
