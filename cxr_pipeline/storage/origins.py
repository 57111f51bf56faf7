"""What a file was made from: a note beside it, with the SHA-256 of each input and of the file that it speaks of.

A note beside and not within, so that the bytes of a table are those of its content: a cohort that comes out the same
from newer labels keeps its digest, and what was trained on it stays its own. Which inputs count is not decided here.
"""

from collections.abc import Mapping
from pathlib import Path

from cxr_pipeline.errors import OriginError
from cxr_pipeline.storage.files import file_digest, write_json
from cxr_pipeline.storage.records import read_record

ABSENT = "nothing"  # the digest of an input that is not there
_SHOWN = 12  # characters of a digest


def origin_path(path: Path) -> Path:
    """Where the note about the file `path` lies."""
    return path.with_suffix(".origin.json")


def digest_or_absent(path: Path) -> str:
    """SHA-256 of the file, ABSENT where there is none."""
    return file_digest(path) if path.is_file() else ABSENT


def write_origin(path: Path, made_from: Mapping[str, str]) -> None:
    """Notes that the file `path` as it is now was made from these inputs: name -> digest."""
    write_json(origin_path(path), {"sha256": file_digest(path), "made_from": dict(made_from)})


def read_origin(path: Path, *, remedy: str) -> dict[str, str]:
    """What the file `path` was made from; raises OriginError when nothing says so, or says it of other bytes."""
    note = origin_path(path)
    if not note.is_file():
        raise OriginError(
            f"Nothing says what {path} was made from: expected the note {note.name} beside it, which this version "
            f"writes. To be sure of it, {remedy}."
        )
    said = read_record(note, {"sha256": str, "made_from": dict}, remedy=f"to be sure of {path.name}, {remedy}")
    found = digest_or_absent(path)
    if said["sha256"] != found:
        raise OriginError(
            f"{path} has SHA-256 {found[:_SHOWN]}, and the note beside it speaks of {said['sha256'][:_SHOWN]}: it was "
            f"replaced, or its making was cut off. To be sure of it, {remedy}."
        )
    return dict(said["made_from"])


def check_origin(path: Path, now: Mapping[str, str], *, remedy: str) -> None:
    """Raises OriginError unless the file `path` was made from the inputs as they are `now`: name -> digest."""
    then = read_origin(path, remedy=remedy)
    other = [name for name, digest in now.items() if then.get(name, ABSENT) != digest]
    if other:
        name, *more = other
        others = f" (and {len(more)} other inputs have changed)" if more else ""
        raise OriginError(
            f"{path} was made from {name} {then.get(name, ABSENT)[:_SHOWN]}, expected {now[name][:_SHOWN]}, which is "
            f"there now{others}: {remedy} first."
        )
