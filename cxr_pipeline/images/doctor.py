"""Explains image files: what they are, whether the pipeline would use them, and if not, why and what to do.

The verdict is that of `pixels`, so it is the same as in the store; the facts are read from the header alone.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from cxr_pipeline.errors import ImageError
from cxr_pipeline.images.decode.headers import describe_header
from cxr_pipeline.images.decode.hints import find_hints
from cxr_pipeline.images.decode.kinds import name_picture
from cxr_pipeline.images.decode.pictures import SUFFIXES as OTHER_SUFFIXES
from cxr_pipeline.images.decode.pictures import is_picture
from cxr_pipeline.images.decode.pixels import Radiograph, decode_radiograph, is_broken_link, read_file
from cxr_pipeline.images.decode.reasons import REASONS

SUFFIXES = (".png", ".jpg", ".jpeg", ".dcm", ".dicom", *OTHER_SUFFIXES)
_MAGIC_BYTES = 132  # as far as a DICOM file's magic word

Progress = Callable[[int, int], object]  # files done, files in all


@dataclass(frozen=True)
class Diagnosis:
    """What one file is, and what would become of it."""

    path: Path
    reason: str | None = None  # why it would go into quarantine; None: it would be used
    advice: str = ""  # what was found, what was expected, what to do
    facts: dict[str, str] = field(default_factory=dict)  # what there is to know of the file, in reading order

    @property
    def is_usable(self) -> bool:
        return self.reason is None

    @property
    def verdict(self) -> str:
        return f"quarantine: {self.reason}, {REASONS[self.reason]}" if self.reason else "usable"

    def as_row(self) -> dict[str, Any]:
        """A record for JSON."""
        return {**asdict(self), "path": str(self.path), "is_usable": self.is_usable}


@dataclass(frozen=True)
class FoundFiles:
    """Files to look at, and how many others lie in the same folders, by suffix."""

    images: list[Path]
    others: dict[str, int]


def diagnose(path: Path, *, size: int) -> Diagnosis:
    """Reads one file as preparing a store of `size` x `size` pixels would; nothing that is wrong with it is raised."""
    try:
        data = read_file(path)
    except ImageError as error:
        return Diagnosis(path, error.reason, str(error))
    facts = {"file": f"{len(data):,} bytes", **describe_header(data)}
    try:
        radiograph = decode_radiograph(data, size=size)
    except ImageError as error:
        return _explain_other(path, data, facts, size) if is_picture(data) else _refused(path, error, facts)
    return Diagnosis(path, facts=facts | _stored_facts(radiograph) | _hints(data, radiograph))


def diagnose_files(paths: Sequence[Path], *, size: int, on_progress: Progress | None = None) -> list[Diagnosis]:
    """A diagnosis of each of `paths`, in their order; one thread per core."""
    found: list[Diagnosis] = []
    with ThreadPoolExecutor() as threads:
        for diagnosis in threads.map(lambda path: diagnose(path, size=size), paths):
            found.append(diagnosis)
            if on_progress:
                on_progress(len(found), len(paths))
    return found


def find_files(paths: Sequence[Path]) -> FoundFiles:
    """The files among `paths`, and under its folders those that are images by suffix or, without one, by content.

    Hidden files are left out: `._00000001_000.png` is what macOS archives add beside every image.
    """
    images: list[Path] = []
    others: Counter[str] = Counter()
    for path in paths:
        if not path.is_dir():
            images.append(path)
            continue
        for file in sorted(p for p in path.rglob("*") if _is_file(p) and not p.name.startswith(".")):
            if _is_image(file):
                images.append(file)
            else:
                others[file.suffix.lower() or "no suffix"] += 1
    return FoundFiles(images, dict(others.most_common()))


def group_by_reason(diagnoses: Sequence[Diagnosis]) -> dict[str, list[Diagnosis]]:
    """Reason -> the files that would go into quarantine for it, most frequent reason first."""
    groups: dict[str, list[Diagnosis]] = {}
    for diagnosis in diagnoses:
        if diagnosis.reason:
            groups.setdefault(diagnosis.reason, []).append(diagnosis)
    return dict(sorted(groups.items(), key=lambda item: (-len(item[1]), item[0])))


def _refused(path: Path, error: ImageError, facts: dict[str, str]) -> Diagnosis:
    return Diagnosis(path, error.reason, str(error), facts)


def _explain_other(path: Path, data: bytes, facts: dict[str, str], size: int) -> Diagnosis:
    """A picture whose format no store takes: what is in it, and who reads it as it is."""
    facts = {**facts, "kind": name_picture(data) or ""}
    try:
        radiograph = decode_radiograph(data, size=size, any_format=True)
    except ImageError as error:
        return _refused(path, error, facts)
    facts |= {
        "size": f"{radiograph.source_width:,} x {radiograph.source_height:,} pixels",
        "bits": str(radiograph.bit_depth),
    }
    advice = f"A store takes PNG, JPEG and DICOM alone, but the file is {facts['kind']}, and whole. Convert it to PNG."
    return Diagnosis(
        path, "unsupported", f"{advice} `cxr predict` reads it as it is.", facts | _hints(data, radiograph)
    )


def _hints(data: bytes, radiograph: Radiograph) -> dict[str, str]:
    hints = find_hints(data, height=radiograph.source_height, width=radiograph.source_width)
    return {"look at": " ".join(hints)} if hints else {}


def _is_file(path: Path) -> bool:
    return path.is_file() or is_broken_link(path)


def _is_image(path: Path) -> bool:
    if path.suffix.lower() in SUFFIXES:
        return True
    if path.suffix:
        return False
    try:
        with path.open("rb") as file:
            return "kind" in describe_header(file.read(_MAGIC_BYTES))
    except OSError:
        return False


def _stored_facts(radiograph: Radiograph) -> dict[str, str]:
    pixels, box = radiograph.pixels, radiograph.placement
    return {
        "stored as": f"{box.width} x {box.height} at ({box.left}, {box.top}) of {len(pixels)} x {len(pixels)}, "
        f"scale {box.scale_x:.4g}",
        "grey values": f"mean {pixels.mean():.1f}, spread {pixels.std():.1f}",
    }
