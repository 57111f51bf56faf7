"""When tables are made without a person: on new data and every night. Training is never started from here."""

import time
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

import dagster as dg

from cxr_pipeline.datasets import DATASETS
from cxr_pipeline.defs.demand import Asked, Demand, selection_of
from cxr_pipeline.defs.resources import Installation
from cxr_pipeline.defs.staleness import find_stale, read_tags
from cxr_pipeline.defs.standing import NOT_USED, REASON_TAG, find_other_states, read_inventories, stand
from cxr_pipeline.errors import CxrError
from cxr_pipeline.labels.reports.tables import is_reported
from cxr_pipeline.watch import Budget

if TYPE_CHECKING:
    from dagster._core.definitions.assets.graph.base_asset_graph import BaseAssetGraph

HARMONIZE = "harmonize"
EVERYTHING = "everything"
HARMONIZED_GROUPS = ("raw", "labels", "images", "split")
SENSOR_SECONDS = 60
NIGHTLY = "0 2 * * *"
CHANGED_TAG = "cxr/changed_sources"

_AT_WORK = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]

everything = dg.define_asset_job(EVERYTHING, dg.AssetSelection.all(), description="From raw files to the report")

harmonize = dg.define_asset_job(
    HARMONIZE,
    dg.AssetSelection.groups(*HARMONIZED_GROUPS),
    description="All sources again, down to the cohort; only what is new or changed is decoded",
)


@dg.sensor(
    job=harmonize,
    minimum_interval_seconds=SENSOR_SECONDS,
    description="Looks at the files of every source, a slice each minute, and asks for one run when they differ from "
    "what the last runs read and have been quiet for a while: the changed sources and all that is made from them",
)
def new_raw_data(context: dg.SensorEvaluationContext, installation: Installation) -> dg.SensorResult | dg.SkipReason:
    """One run at a time, whatever the number of changed sources: two runs at once would write the same cohort."""
    assert context.repository_def is not None
    graph, instance = context.repository_def.asset_graph, context.instance
    keys = {key for key in graph.materializable_asset_keys if graph.get(key).group_name in HARMONIZED_GROUPS}
    busy = find_run_at_work(instance, keys)
    if busy:
        return dg.SkipReason(f"Run {busy} makes these tables now: what has changed is looked at when it has ended")
    try:
        demand, waiting = find_demand(installation, instance, graph, keys)
    except CxrError as error:
        return dg.SkipReason(str(error))
    asked, now = Asked.read(context.cursor), time.time()
    if not demand:
        return dg.SkipReason("; ".join(waiting) or "No change")
    pause = asked.wait_seconds(demand, now=now)
    if pause:
        return dg.SkipReason(
            f"Asked for {asked.times} times in vain, see the runs; again in {pause / 60:.0f} minutes, or at once when "
            f"something else changes: {demand.reason}"
        )
    context.log.info("; ".join([demand.reason, *waiting]))
    request = dg.RunRequest(
        asset_selection=selection_of(demand, {key: graph.get(key).child_keys for key in keys}),
        tags={REASON_TAG: demand.reason, CHANGED_TAG: ",".join(demand.changed) or "none"},
    )
    return dg.SensorResult([request], cursor=asked.again(demand, now=now).write())


nightly = dg.ScheduleDefinition(
    name="nightly_harmonize",
    job=harmonize,
    cron_schedule=NIGHTLY,
    description="Every night at two: catches what changed without a trace in sizes and times",
)


def find_demand(
    installation: Installation,
    instance: dg.DagsterInstance,
    graph: "BaseAssetGraph",
    keys: Collection[dg.AssetKey],
) -> tuple[Demand, list[str]]:
    """What a run would have to make of `keys`, and what is waited for, a line each.

    Raises StoreError while a run looks at the same files, StorageError where what was seen cannot be written down.
    """
    read = read_inventories(instance)
    looks = installation.look_at_sources(Budget(), since={name: one.sequence for name, one in read.items()})
    standings = [stand(name, looks.get(name), read.get(name), installation.watch_quiet_seconds) for name in DATASETS]
    held = {one.source for one in standings if one.is_held}
    parents = {parent for key in keys for parent in graph.get(key).parent_keys}
    tags = read_tags(instance, {*keys, *parents})
    free = set(keys) - _of_held(held, graph, tags, keys)
    states = {name: installation.states_of(name) for name, dataset in DATASETS.items() if is_reported(dataset)}
    other = {key: why for key, why in find_other_states(instance, states).items() if key in free}
    stale = find_stale(graph, tags, sorted(free)) | other
    changed = {one.source: one.change for one in standings if one.change}
    wanted = {name: looks[name].digest if name in looks else NOT_USED for name in changed}
    return Demand(changed, stale, wanted, free), [one.waits_for for one in standings if one.waits_for]


def _of_held(
    held: Collection[str], graph: "BaseAssetGraph", tags: Mapping[dg.AssetKey, object], keys: Collection[dg.AssetKey]
) -> set[dg.AssetKey]:
    """What is not made while sources are held: what is theirs alone, and where a table of theirs was never made also
    what would read it."""
    own = {key for key in keys if any(key.path[-1] == name or key.path[-1].endswith(f"_{name}") for name in held)}
    found, waiting = set(own), [key for key in own if key not in tags]
    while waiting:
        children = {key for key in graph.get(waiting.pop()).child_keys if key in keys} - found
        found |= children
        waiting += children
    return found


def find_run_at_work(instance: dg.DagsterInstance, keys: Collection[dg.AssetKey]) -> str | None:
    """The short id of a run that is to make, or makes, one of `keys`."""
    records = instance.get_run_records(dg.RunsFilter(statuses=_AT_WORK))
    for run in (record.dagster_run for record in records):
        makes_all = run.asset_selection is None and run.job_name in (HARMONIZE, EVERYTHING)
        if makes_all or (run.asset_selection or frozenset()) & set(keys):
            return run.run_id[:8]
    return None
