"""How far an installation has a source, for a person: not used, missing, in part or complete, and what to do next."""

from dataclasses import dataclass
from pathlib import Path

from cxr_pipeline.datasets.base import Dataset
from cxr_pipeline.datasets.files.archives import archive_of
from cxr_pipeline.datasets.inventory import take_inventory
from cxr_pipeline.datasets.quality import judge_completeness
from cxr_pipeline.errors import CxrError


@dataclass(frozen=True)
class Status:
    """One line of `cxr sources status`; counts are 0 where the metadata cannot be read."""

    state: str  # "not used", "missing", "phantoms", "packed", "metadata only", "in part", "complete"
    layout: str
    images: int
    present: int  # of these, with a file
    file_bytes: int
    next_step: str


def find_status(dataset: Dataset, root: Path | None) -> Status:
    """Reads the metadata and lists the files of one source; a source that cannot be read is a status, not an error."""
    if root is None:
        step = f"set {dataset.root_variable} to its folder, or get it from {dataset.home_page} ({dataset.access})"
        return Status("not used", "", 0, 0, 0, step)
    try:
        return _judge(dataset, root)
    except CxrError as error:
        return Status("missing", "", 0, 0, 0, str(error))


def _judge(dataset: Dataset, root: Path) -> Status:
    table = take_inventory(dataset, root).table
    present = int(table["is_present"].sum())
    layout = dataset.describe_layout(root).name
    verdict = judge_completeness(dataset, table, layout=layout)
    state, step = "complete", "nothing: materialize it"
    if table["is_phantom"].any():
        state, step = "phantoms", "nothing: rendered pictures, for the demo and the tests"
    elif _is_packed(dataset, root):
        state, step = "packed", f"run `cxr sources unpack {dataset.name}`, or materialize it, which does the same"
    elif not present:
        state, step = "metadata only", "unpack its images into the same folder"
    elif present < table.height or not verdict.passed:
        published = int(verdict.facts.get("images_published", table.height))
        rest = f"{table.height - present:,} images have no file here, {max(published - table.height, 0):,} no row"
        state, step = "in part", f"nothing, or get the rest: {rest}"
    return Status(state, layout, table.height, present, int(table["file_bytes"].sum()), step)


def _is_packed(dataset: Dataset, root: Path) -> bool:
    archive = archive_of(dataset, root)
    return archive is not None and archive.is_pending
