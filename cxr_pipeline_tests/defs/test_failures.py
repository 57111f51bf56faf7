"""What a failed step looks like, in real runs on the instance that this project declares."""

import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.storage.tags import WILL_RETRY_TAG

from cxr_pipeline.defs.automation import EVERYTHING
from cxr_pipeline.defs.build import build_definitions
from cxr_pipeline.defs.failures import RETRIES, RETRY_SECONDS, told
from cxr_pipeline.errors import ClusterError, Interrupted, SourceFormatError, TrainingError
from cxr_pipeline.settings import Settings

PROJECT = Path(__file__).parents[2]


@pytest.fixture
def instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    """On the real dagster.yaml."""
    shutil.copy(PROJECT / "dagster.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        yield instance


def run(instance: dg.DagsterInstance, settings: Settings, *keys: str) -> dg.ExecuteInProcessResult:
    job = build_definitions(settings).resolve_job_def(EVERYTHING)
    selection = [dg.AssetKey(key.split("/")) for key in keys]
    return job.execute_in_process(instance=instance, asset_selection=selection, raise_on_error=False)


def test_a_wrong_header_is_one_sentence_and_the_run_is_not_tried_again(instance: dg.DagsterInstance, tmp_path: Path):
    root = tmp_path / "nih"
    root.mkdir()
    (root / "Data_Entry_2017_v2020.csv").write_text("Image,Labels\n00000001_000.png,Mass\n")
    result = run(instance, Settings(home=tmp_path / "home", preset="demo", nih_root=root), "raw/nih")
    assert not result.success
    (failure,) = [event for event in result.all_events if event.is_step_failure]
    data = failure.step_failure_data
    assert data.user_failure_data is not None
    assert str(root / "Data_Entry_2017_v2020.csv") in data.user_failure_data.description
    assert "\n" not in data.user_failure_data.description
    assert data.user_failure_data.metadata["kind"].value == "SourceFormatError"
    assert data.error is not None
    assert data.error.cause is None  # no second stack below the sentence
    assert not [event for event in result.all_events if event.is_step_up_for_retry]
    stored = instance.get_run_by_id(result.run_id)
    assert stored is not None
    assert stored.status is dg.DagsterRunStatus.FAILURE
    assert stored.tags[WILL_RETRY_TAG] == "false"


@pytest.mark.parametrize("error", [SourceFormatError("x"), TrainingError("x")])
def test_what_a_user_can_mend_fails_once(error: Exception):
    with pytest.raises(dg.Failure, match="x") as caught:
        told(_raise)(error)
    assert caught.value.allow_retries is False
    assert caught.value.__suppress_context__


@pytest.mark.parametrize(
    "error", [ClusterError("x"), Interrupted("x"), OSError(errno.ESTALE, os.strerror(errno.ESTALE))]
)
def test_what_passes_by_itself_is_asked_for_again(error: Exception):
    with pytest.raises(dg.RetryRequested) as caught:
        told(_raise)(error)
    assert (caught.value.max_retries, caught.value.seconds_to_wait) == (RETRIES, RETRY_SECONDS)
    assert caught.value.__cause__ is error


@pytest.mark.parametrize("error", [KeyError("x"), FileNotFoundError(errno.ENOENT, "x")])
def test_a_fault_of_the_program_keeps_its_stack(error: Exception):
    with pytest.raises(type(error)) as caught:
        told(_raise)(error)
    assert caught.value is error


def test_every_asset_and_check_of_ours_is_told():
    """A new one that forgets it would fail twice and with a stack."""
    defs = build_definitions(Settings(preset="demo"))
    functions = [
        (definition.op.name, definition.op.compute_fn.decorated_fn)
        for definition in [*(defs.assets or []), *(defs.asset_checks or [])]
        if isinstance(definition, dg.AssetsDefinition)
    ]
    assert len(functions) > 40
    assert [name for name, function in functions if function.__code__ is not told(_raise).__code__] == []


def _raise(error: Exception) -> None:
    raise error
