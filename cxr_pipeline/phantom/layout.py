"""What a source's layout must be able to do, and how pictures are encoded. The layouts themselves live elsewhere."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from cxr_pipeline.phantom.cohort import Patient


@dataclass(frozen=True)
class Layout:
    """One source's layout. `write_patient(patient, root, size)` renders and returns one row per image; `write_tables`
    takes the rows of all patients in order. `entries` are glob patterns of all that it puts in the root; `roots` are
    the folders that a user may name as the source's root, each of which must be recognised as phantoms.
    """

    count_images: Callable[[Patient], int]
    write_patient: Callable[[Patient, Path, int], list[Any]]
    write_tables: Callable[[Sequence[Any], Path], None]
    entries: tuple[str, ...]
    roots: tuple[str, ...] = (".",)


def write_image(path: Path, pixels: NDArray[np.uint8], *, is_rgba: bool = False) -> None:
    """Encodes grey uint8 [height, width] by the suffix, `.png` or `.jpg`; as RGBA with equal colours if asked.

    Not atomic, and on purpose without fsync: a collection is complete only when its marker says so.
    """
    picture = cv2.cvtColor(pixels, cv2.COLOR_GRAY2BGRA) if is_rgba else pixels
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(path.suffix, picture)[1].tobytes())


def csv_text(header: str, rows: Sequence[Sequence[str]]) -> str:
    """Lines without quotes, as both publishers write them; no value of ours holds a comma."""
    return "\n".join([header, *(",".join(row) for row in rows)]) + "\n"
