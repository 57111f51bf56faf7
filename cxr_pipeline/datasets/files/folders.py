"""Finds the files of a source on disk. What is written in them does not matter here."""

import errno
import os
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from cxr_pipeline.datasets.base import Dataset
from cxr_pipeline.datasets.files.elsewhere import describe_elsewhere
from cxr_pipeline.datasets.files.misnamed import describe_misnamed
from cxr_pipeline.errors import SourceNotFoundError

_PICTURES = (".png", ".jpg", ".jpeg")
PHANTOM_MARKER = "PHANTOM.txt"  # lies in the root of every rendered collection


def require_file(dataset: Dataset, folders: Sequence[Path], names: Sequence[str]) -> Path:
    """The first of `names` in the first of `folders` that has one; SourceNotFoundError otherwise.

    `folders[0]` is the folder that the user named.
    """
    root = folders[0]
    if root.is_file():
        raise SourceNotFoundError(
            f"{dataset.title}: {root} is a file. Expected the folder of the release: name {root.parent}, or unpack it "
            "where it is an archive."
        )
    if not root.is_dir():
        raise SourceNotFoundError(f"{dataset.title}: there is no folder {root}. {_what_to_do(dataset)}")
    found = find_file(folders, names)
    if found is None:
        looked_for = " or ".join(names)
        misnamed = describe_misnamed(root, names, home=root)
        advice = describe_elsewhere(dataset, root, names) or misnamed or _what_to_do(dataset)
        raise SourceNotFoundError(f"{dataset.title}: {root} has no {looked_for}. {advice}")
    return found


def find_file(folders: Sequence[Path], names: Sequence[str]) -> Path | None:
    """The first of `names` in the first of `folders` that has one; where none has, in any case (`TEST_LIST.TXT`)."""
    candidates = (folder / name for folder in folders for name in names)
    exact = next((path for path in candidates if path.is_file()), None)
    if exact:
        return exact
    present = ((folder, {name.lower(): name for name in _list_names(folder)}) for folder in folders)
    found = (folder / files[name.lower()] for folder, files in present for name in names if name.lower() in files)
    return next((path for path in found if path.is_file()), None)


def walk_pictures(root: Path, published: str) -> list[str]:
    """As `walk_files`, of all PNG and JPEG files, those with the published suffix first: mirrors spell it in another
    case, or hold the pictures as the other format."""
    return sorted(walk_files(root, *_PICTURES), key=lambda path: not path.lower().endswith(published))


def as_published(path: str, suffix: str) -> str:
    """The path with the suffix that the publisher gave it: `images/00000001_000.JPG` -> `images/00000001_000.png`."""
    return f"{path.rpartition('.')[0]}{suffix}"


def walk_files(root: Path, *suffixes: str) -> list[str]:
    """Paths below `root`, relative to it, of all files with one of `suffixes`, in either case: shallow first, then by
    name.

    Hidden files are left out: `._00000001_000.png` is what macOS archives add beside every image. Linked folders are
    followed, since large collections are often linked in from another disk, but none is entered twice. A link
    that leads nowhere, or to itself, is no file.
    """
    found: list[str] = []
    entered: set[tuple[int, int]] = set()
    waiting = [""] if root.is_dir() else []
    while waiting:
        inner = waiting.pop()
        status = (root / inner).stat()
        if (status.st_dev, status.st_ino) in entered:
            continue
        entered.add((status.st_dev, status.st_ino))
        folders, files = _list_folder(root / inner, suffixes)
        waiting += [f"{inner}{name}/" for name in folders]
        found += [f"{inner}{name}" for name in files]
    return sorted(found, key=lambda path: (path.count("/"), path))


def index_files(paths: Iterable[str], keys_of: Callable[[str], Sequence[str]]) -> dict[str, Path]:
    """Key -> path. The first path wins a key; a path that wins none stays under its own name, to be counted."""
    index: dict[str, Path] = {}
    for path in paths:
        keys = [key for key in keys_of(path) if key not in index] or [path]
        index.update(dict.fromkeys(keys, Path(path)))
    return index


def phantom_marker(root: Path) -> Path | None:
    """The marker of a rendered collection, in `root` or beside it (a user may name the inner folder)."""
    return find_file([root, root.resolve().parent], [PHANTOM_MARKER])


def count_phantoms(root: Path) -> int | None:
    """How many images the marker in `root` says were rendered; None where it is not there or says nothing.

    A marker beside `root` may speak of more than one folder.
    """
    marker = root / PHANTOM_MARKER
    text = marker.read_text(encoding="utf-8") if marker.is_file() else ""
    stated = re.search(r"^images: (\d+)$", text, re.MULTILINE)
    return int(stated[1]) if stated else None


def _list_folder(folder: Path, suffixes: tuple[str, ...]) -> tuple[list[str], list[str]]:
    with os.scandir(folder) as entries:
        visible = [entry for entry in entries if not entry.name.startswith(".")]
    folders = [entry.name for entry in visible if _leads_to(entry.is_dir)]
    files = [entry.name for entry in visible if entry.name.lower().endswith(suffixes) and _leads_to(entry.is_file)]
    return folders, files


def _leads_to(is_kind: Callable[[], bool]) -> bool:
    """What an entry says of its kind; a link in a circle (ELOOP), which has none, is nothing."""
    try:
        return is_kind()
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        return False


def _list_names(folder: Path) -> list[str]:
    """Names and no paths: OpenI's folder has 3,955 reports, and is asked for six files that it has not."""
    if not folder.is_dir():
        return []
    with os.scandir(folder) as entries:
        return sorted(entry.name for entry in entries)


def _what_to_do(dataset: Dataset) -> str:
    return (
        f"Expected the unpacked release: set {dataset.root_variable} to its folder, "
        f"or get the release from {dataset.home_page}."
    )
