"""What stands in the place of a file of a release: a copy that a browser numbered, a packed one, a link to nowhere."""

import os
import re
from collections.abc import Collection, Iterator
from pathlib import Path

_ENDINGS = r"(?:\.(?:csv|txt|tsv|json|xlsx?|gz|zip|7z|part|crdownload|download))*"
_COPY = r"(?:[ _-]*(?:\(\d+\)|\d|copy(?: \d+)?|kopie))?"
_PACKED = (".zip", ".7z", ".gz")
_SPREADSHEETS = (".xlsx", ".xls")
_PARTIAL = (".part", ".crdownload", ".download")
_MAX_FOLDERS = 200  # beside the file that is looked for; pictures may lie in many more


def describe_misnamed(root: Path, names: Collection[str], *, home: Path) -> str | None:
    """A sentence on a file in `root`, or in a folder there, that is one of `names` under another name or in another
    form, and what to do to have it in `home`; None where there is none, and for names that are of a folder."""
    files = [name for name in names if "/" not in name and "." in name]
    near = list(_list_near(root)) if files else []
    for name in files:
        stem = re.escape(name.removesuffix(".gz").rpartition(".")[0])
        pattern = re.compile(f"{stem}{_COPY}{_ENDINGS}", re.IGNORECASE)
        found = next((path for path in near if pattern.fullmatch(path.name)), None)
        if found:
            return f"{found} {_tell(found, home / name)}"
    return None


def _tell(found: Path, wanted: Path) -> str:
    if not found.exists():
        return "is a link that leads nowhere: mend it, or put the file in its place."
    if found.is_dir():
        return "is a folder: was the archive unpacked into one of that name? Put the file itself in its place."
    ending = found.suffix.lower()
    if ending in _PARTIAL:
        return "is a download that was not finished: get it again."
    if ending in _SPREADSHEETS:
        return "is a spreadsheet, in which numbers and dates may have changed: get the published file."
    if ending in _PACKED:
        return f"is packed: unpack it to {wanted}."
    return f"is there: if it is the published file, move it to {wanted}."


def _list_near(root: Path) -> Iterator[Path]:
    """The entries of `root`, then those of the folders in it; what cannot be listed is left out."""
    here = _list(root)
    yield from (path for path, _ in here)
    folders = [path for path, is_folder in here if is_folder]
    for folder in folders[:_MAX_FOLDERS]:
        yield from (path for path, _ in _list(folder))


def _list(folder: Path) -> list[tuple[Path, bool]]:
    """Each entry, and whether it is a folder; linked folders are none here."""
    try:
        with os.scandir(folder) as entries:
            visible = [entry for entry in entries if not entry.name.startswith(".")]
            return sorted((folder / entry.name, entry.is_dir(follow_symlinks=False)) for entry in visible)
    except OSError:
        return []
