"""Phantoms in the layout of ReXGradient-160K: three JSON files with per-image lists, reports, and 16-bit PNG in one
zstd-compressed tar that is cut into parts.
"""

import hashlib
import shutil
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import zstandard
from numpy.typing import NDArray

from cxr_pipeline.phantom.cohort import Patient, Study
from cxr_pipeline.phantom.layout import Layout
from cxr_pipeline.phantom.render import STYLES, View, render
from cxr_pipeline.phantom.reports import write_report
from cxr_pipeline.storage.files import write_json

PNG_FOLDER, JSON_FOLDER = "deid_png", "metadata"
LOOSE_FOLDER = ".loose"  # pictures that are not packed yet
ARCHIVE_PARTS = 3  # the publisher has ten
PARTS = ("train", "valid", "test")
UNSTATED_SHARE = 0.05  # studies whose view list is too short: seen in the published files
UID_ROOT = "1.2.826.0.1.3680043.10.999"
SPAN = 257  # 8-bit grey times this is 16-bit grey
WORDS = {"PA": ("PA", "POSTERO_ANTERIOR"), "AP": ("AP",), "LATERAL": ("LATERAL", "LL")}


@dataclass(frozen=True)
class RexgradientRow:
    """One image; `record` is its study's, on the first image alone."""

    part: str
    study: str
    record: dict[str, Any] | None


def _count_images(patient: Patient) -> int:
    return sum(1 + study.has_lateral for study in patient.studies)


def _write_patient(patient: Patient, root: Path, size: int) -> list[RexgradientRow]:
    return [row for study in patient.studies for row in _write_study(patient, study, root, size)]


def _write_study(patient: Patient, study: Study, root: Path, size: int) -> list[RexgradientRow]:
    person, accession = _code("patient", patient.index), _code("study", patient.index, study.number)
    uid = f"{UID_ROOT}.{patient.index + 1}.{study.number + 1}"
    views: list[View] = [study.view, "LATERAL"] if study.has_lateral else [study.view]
    folder = f"{PNG_FOLDER}/{person}/{accession}/studies/{uid}/series"
    paths = [f"{folder}/{uid}.{number}/instances/{uid}.{number}.1.png" for number, _ in enumerate(views, start=1)]
    pictures = [_draw(patient, study, view, number, size) for number, view in enumerate(views, start=1)]
    for path, pixels in zip(paths, pictures, strict=True):
        _write_deep_image(root / LOOSE_FOLDER / path, pixels)
    record = {
        "PatientID": person,
        "AccessionNumber": accession,
        "StudyInstanceUid": uid,
        **_describe(patient, study, views),
        "ImagePath": [f"../{path}" for path in paths],
        "ImageModality": ["DX" for _ in views],
        "ImageShape": [list(pixels.shape) for pixels in pictures],
        "ImageBodyPart": ["CHEST" for _ in views],
    }
    part = {8: "valid", 9: "test"}.get(patient.index % 10, "train")
    row = RexgradientRow(part, f"p{person}_a{accession}_s{uid}", record)
    return [row, *(RexgradientRow(part, row.study, None) for _ in views[1:])]


def _draw(patient: Patient, study: Study, view: View, number: int, size: int) -> NDArray[np.uint8]:
    rng = np.random.default_rng([study.seed, 1 + number])
    style = STYLES["rexgradient"]
    return render(rng, study.findings, size=size, style=style, view=view, thorax=patient.thorax).pixels


def _describe(patient: Patient, study: Study, views: Sequence[View]) -> dict[str, Any]:
    """The fields of a study that are about person, report and views."""
    rng = np.random.default_rng([study.seed, 1])
    report = write_report(rng, study.findings)
    words = [WORDS[view][rng.integers(len(WORDS[view]))] for view in views]
    return {
        "PatientSex": patient.sex,
        "PatientAge": f"{study.age_years:03d}Y",
        "StudyDate": 20160101 + study.number,
        "StudyDescription": f"XR CHEST {len(views)} VIEWS",
        "Indication": report["indication"],
        "Comparison": "None",
        "Findings": report["findings"],
        "Impression": report["impression"],
        "ImageViewPosition": words[: len(views) - (rng.random() < UNSTATED_SHARE)],
    }


def _write_deep_image(path: Path, pixels: NDArray[np.uint8]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(".png", pixels.astype(np.uint16) * SPAN)[1].tobytes())


def _code(*parts: object) -> str:
    """`GRDN` and twelve letters or digits, as the publisher's codes look."""
    return f"GRDN{hashlib.sha256(repr(parts).encode()).hexdigest()[:12].upper()}"


def _write_tables(rows: Sequence[RexgradientRow], root: Path) -> None:
    for part in PARTS:
        records = {row.study: row.record for row in rows if row.part == part and row.record}
        if records:
            write_json(root / JSON_FOLDER / f"{part}_metadata_view_position.json", records)
    pictures = [path.removeprefix("../") for row in rows if row.record for path in row.record["ImagePath"]]
    _pack(root / LOOSE_FOLDER, pictures, root)


def _pack(loose: Path, names: Sequence[str], root: Path) -> None:
    """Moves the named files of `loose` into one archive, and cuts it anywhere, as `split` does."""
    whole = loose / f"{PNG_FOLDER}.tar.zst"
    compressor = zstandard.ZstdCompressor(write_checksum=True)  # as the command `zstd` does
    with zstandard.open(whole, "wb", cctx=compressor) as file, tarfile.open(fileobj=file, mode="w|") as tar:
        for name in names:
            member = tarfile.TarInfo(name)  # of no time and no owner: the same pictures give the same bytes
            member.size = (loose / name).stat().st_size
            with (loose / name).open("rb") as picture:
                tar.addfile(member, picture)
    size = -(-whole.stat().st_size // ARCHIVE_PARTS)
    with whole.open("rb") as file:
        for number in range(ARCHIVE_PARTS):
            (root / f"{PNG_FOLDER}.part{number:02d}").write_bytes(file.read(size))
    shutil.rmtree(loose)


LAYOUT = Layout(
    count_images=_count_images,
    write_patient=_write_patient,
    write_tables=_write_tables,
    entries=(PNG_FOLDER, f"{PNG_FOLDER}.part[0-9][0-9]", f".{PNG_FOLDER}.unpacking", LOOSE_FOLDER, JSON_FOLDER),
)
