"""Runs a job folder through Dagster Pipes: the program's log lines reach the Dagster log while it runs."""

from collections.abc import Callable
from typing import Any

import dagster as dg

from cxr_pipeline.launch.job import Job
from cxr_pipeline.launch.local import run_job
from cxr_pipeline.pipeline.jobs import Launch


def launch_with_pipes(context: dg.AssetExecutionContext) -> Launch:
    """A launcher of jobs on this machine that reports into the run of `context`."""

    def launch(job: Job, on_event: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
        if job.is_done:
            context.log.info(f"Nothing changed since job {job.folder.name}: its result is used again.")
            return job.result()
        injector = dg.PipesFileContextInjector(str(job.folder / "context.json"))
        reader = dg.PipesFileMessageReader(str(job.folder / "messages.jsonl"))
        with dg.open_pipes_session(context, injector, reader) as session:
            return run_job(job, environment=session.get_bootstrap_env_vars(), on_event=on_event)

    return launch
