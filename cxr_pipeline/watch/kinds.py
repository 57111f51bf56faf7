"""Which files of a source are watched, what they are, and which of them a message may name."""

import re
from dataclasses import dataclass
from enum import IntEnum
from typing import Self

from cxr_pipeline.datasets.base import Dataset


class Kind(IntEnum):
    PICTURE = 0
    METADATA = 1
    PART = 2  # of a packed archive of pictures


_MIRRORS = (".png", ".jpg", ".jpeg", ".dcm", ".dicom")  # what mirrors make of a publisher's pictures
_METADATA = (".csv", ".tsv", ".txt", ".json", ".jsonl", ".xml", ".zip", ".gz", ".tgz", ".tar", ".zst", ".parquet")
_NAMED_DEPTH = 2
# patient00001, p10000032, 00000001_000; not df_chexpert_plus_240401
_ID = re.compile(rb"^[A-Za-z]{0,12}[-_]?\d{3}|\d{7}")
_DIGIT = re.compile(rb"\d")


@dataclass(frozen=True)
class Kinds:
    """What counts in the folder of one source. Names are bytes: not every file system holds UTF-8."""

    pictures: tuple[bytes, ...]  # suffixes, in lower case
    archive: bytes | None  # its parts are <archive>.part00, ...

    @classmethod
    def of(cls, dataset: Dataset) -> Self:
        pictures = sorted({*dataset.suffixes, *_MIRRORS})
        return cls(tuple(map(str.encode, pictures)), dataset.archive.encode() if dataset.archive else None)

    def kind_of(self, name: bytes) -> Kind | None:
        """None for what is not watched: other files, hidden ones, copies of an editor (`~`), downloads under way
        (`.part`, `.tmp`: no suffix of ours)."""
        if name[:1] in (b".", b"~") or name[-1:] == b"~":
            return None
        lower = name.lower()
        if lower.endswith(self.pictures):
            return Kind.PICTURE
        if lower.endswith(_METADATA_BYTES):
            return Kind.METADATA
        is_part = self.archive and re.fullmatch(re.escape(self.archive) + rb"\.part\d+", name)
        return Kind.PART if is_part else None


def public_name(folder: bytes, name: bytes, kind: Kind) -> str | None:
    """The name under which a message may speak of a file; None for pictures and for what may be one patient's.

    A release's own tables lie near its root. Reports and what lies beside a picture are named by patient, study or
    report (`files/p10/p10000032/s50414267.txt`, `ecgen-radiology/1.xml`), so that names of numbers are not told.
    """
    depth = folder.count(b"/") + 1 if folder else 0
    lower = name.lower()
    is_report = lower.endswith(b".xml") or (lower.endswith(b".txt") and _DIGIT.search(name))
    if kind == Kind.PICTURE or depth > _NAMED_DEPTH or is_report or _ID.search(name) or _DIGIT.match(name):
        return None
    return name.decode(errors="replace")


_METADATA_BYTES = tuple(map(str.encode, _METADATA))
