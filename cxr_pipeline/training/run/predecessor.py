"""What a run says of the job that it goes on from, or could not go on from: `predecessor.json` in its folder."""

from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from cxr_pipeline.storage.files import write_json
from cxr_pipeline.training.run.program import Report, read_model

if TYPE_CHECKING:
    from cxr_pipeline.training.run.learner import Learner

PREDECESSOR = "predecessor.json"


class Predecessor(BaseModel):
    """An earlier job that differs from this one in its end alone, asked for `epochs`; `steps_done` of it are ours too.

    Where nothing of it could be gone on from, `begun_anew_because` says why.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    job: str
    epochs: int
    steps_done: int
    begun_anew_because: str

    @property
    def steps_taken_over(self) -> int:
        return 0 if self.begun_anew_because else self.steps_done

    def write(self, job: Path) -> None:
        write_json(job / PREDECESSOR, self.model_dump())


def predecessor_of(job: Path) -> Predecessor | None:
    """What the folder `job` says of its predecessor; None where it has none."""
    return read_model(job / PREDECESSOR, Predecessor) if (job / PREDECESSOR).is_file() else None


def tell_predecessor(job: Path, learner: "Learner", report: Report, *, epochs_done: int, stalled: int) -> None:
    """Reports `continued` or `begun_anew` once, when the run is where it begins.

    The last `stalled` of the `epochs_done` were without improvement: they count as they would without an end between.
    """
    found = predecessor_of(job)
    if found is None or learner.steps_done != found.steps_taken_over:
        return
    if found.begun_anew_because:
        note = f"begun anew and not gone on from job {found.job}: {found.begun_anew_because}"
        report({"event": "begun_anew", "job": found.job, "note": note})
    else:
        note = f"goes on from job {found.job} of {found.epochs} epochs, of which {epochs_done} are done"
        note += _patience_note(stalled, learner.config.early_stop_patience)
        report({"event": "continued", "job": found.job, "epochs_done": epochs_done, "note": note})


def _patience_note(stalled: int, patience: int) -> str:
    if stalled >= patience:
        return (
            f"; {stalled} epochs without improvement had ended it early, so that none is added: raise "
            f"early_stop_patience above {patience}, and it goes on from here"
        )
    return f"; the last {stalled} of them, without improvement, count towards early_stop_patience" if stalled else ""
