"""Phantoms in PhysioNet's layout of VinDr-CXR: DICOM files, three readers of different strictness, their boxes."""

import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian, JPEG2000Lossless

from cxr_pipeline.datasets.vindr.words import LOCAL_WORDS, WORDS
from cxr_pipeline.phantom.cohort import Patient, Study
from cxr_pipeline.phantom.drawing import Box
from cxr_pipeline.phantom.layout import Layout, csv_text
from cxr_pipeline.phantom.render import STYLES, render
from cxr_pipeline.storage.files import write_text

MEANINGS: dict[str, frozenset[str]] = {
    "Atelectasis": frozenset({"Atelectasis"}),
    "Cardiomegaly": frozenset({"Cardiomegaly"}),
    "Consolidation": frozenset({"Consolidation"}),
    "Edema": frozenset({"Edema"}),
    "Emphysema": frozenset({"Emphysema"}),
    "Infiltration": frozenset({"Infiltration"}),
    "Nodule/Mass": frozenset({"Mass", "Nodule"}),
    "Pleural effusion": frozenset({"Effusion"}),
    "Pleural thickening": frozenset({"Pleural_Thickening"}),
    "Pneumonia": frozenset({"Pneumonia"}),
    "Pneumothorax": frozenset({"Pneumothorax"}),
    "Pulmonary fibrosis": frozenset({"Fibrosis"}),
}
"""Word -> the findings that it speaks of. There is no word for Hernia."""

BROADER = {"Lung Opacity": "Infiltration", "ILD": "Fibrosis", "COPD": "Emphysema", "Lung tumor": "Mass"}
BROADER_SHARE = 0.25  # images with such a finding that are given the broader word too
UNRELATED = {"Tuberculosis": 0.03, "Other diseases": 0.08}  # word -> share; nothing of them is drawn
# At most one reader of three errs on a word: the strict one misses, the lenient one sees too much.
MISSED_SHARE, INVENTED_SHARE = 0.2, 0.02
NORMAL = frozenset({"No finding"})
READERS = 17
BOX_JITTER = 0.01  # of the picture's height, standard deviation: no two readers draw the same box
TEST_EVERY = 6  # published: 3,000 of 18,000
INVERTED_SHARE, COMPRESSED_SHARE, WINDOWED_SHARE = (
    0.18,
    0.5,
    0.98,
)  # published of the first and last: 541, 2,941 of 3,000

_TEST_WORDS = tuple("Other disease" if word == "Other diseases" else word for word in WORDS)  # as published
_EDGES = "x_min,y_min,x_max,y_max"


@dataclass(frozen=True)
class VindrRow:
    """One image: its rows in the label file and in the file of boxes of its part."""

    part: str
    labels: tuple[tuple[str, ...], ...]
    boxes: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Drawn:
    """Where a picture of `height` x `width` pixels shows what each word speaks of."""

    boxes: dict[str, list[Box]]
    height: int
    width: int


def _count_images(patient: Patient) -> int:
    """The release names no patients, so a second image of one could not be kept out of another split."""
    return 1


def _write_patient(patient: Patient, root: Path, size: int) -> list[VindrRow]:
    study = patient.studies[0]
    part = "test" if patient.index % TEST_EVERY == TEST_EVERY - 1 else "train"
    name = hashlib.sha256(f"{study.seed}".encode()).hexdigest()[:32]
    rng = np.random.default_rng(study.seed)
    phantom = render(rng, study.findings, size=size, style=STYLES["vindr"], thorax=patient.thorax)
    path = root / part / f"{name}.dicom"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(dicom_bytes(np.random.default_rng([study.seed, 1]), name, phantom.pixels))
    drawn = Drawn(_boxes_by_word(phantom.boxes), *phantom.pixels.shape)
    return [_describe(study, part, name, drawn)]


def dicom_bytes(rng: np.random.Generator, name: str, pixels: NDArray[np.uint8]) -> bytes:
    """A DICOM file that shows `pixels` [height, width]; photometric form, window and compression vary by `rng`.

    No element names a person, a device or a time.
    """
    is_inverted, is_compressed, has_window = rng.random(3) < (INVERTED_SHARE, COMPRESSED_SHARE, WINDOWED_SHARE)
    bits = 16 if is_compressed else 12  # Pillow writes code streams of 16 bits
    values = np.rint(pixels * ((2**bits - 1) / 255)).astype("<u2")
    if is_inverted:
        values = 2**bits - 1 - values
    header = _header(name, values, bits=bits)
    header.PhotometricInterpretation = "MONOCHROME1" if is_inverted else "MONOCHROME2"
    header.file_meta.TransferSyntaxUID = JPEG2000Lossless if is_compressed else ExplicitVRLittleEndian
    header.PixelData = encapsulate([_jpeg_2000(values)]) if is_compressed else values.tobytes()
    if has_window:  # over the whole range, as in the published files
        header.WindowCenter, header.WindowWidth = 2 ** (bits - 1), 2**bits
    buffer = io.BytesIO()
    pydicom.dcmwrite(buffer, header, enforce_file_format=True)
    return buffer.getvalue()


def _header(name: str, values: NDArray[np.uint16], *, bits: int) -> pydicom.Dataset:
    header = pydicom.Dataset()
    header.file_meta = FileMetaDataset()
    header.SOPClassUID = DigitalXRayImageStorageForPresentation
    header.SOPInstanceUID = f"2.25.{int(name, 16)}"  # derived from a number of 128 bits: PS3.5 B.2
    header.Rows, header.Columns = values.shape
    header.SamplesPerPixel, header.PixelRepresentation = 1, 0
    header.BitsAllocated, header.BitsStored, header.HighBit = 16, bits, bits - 1
    return header


def _jpeg_2000(values: NDArray[np.uint16]) -> bytes:
    """A lossless code stream."""
    buffer = io.BytesIO()
    Image.fromarray(values).save(buffer, "JPEG2000", no_jp2=True, irreversible=False)
    return buffer.getvalue()


def _boxes_by_word(boxes: dict[str, list[Box]]) -> dict[str, list[Box]]:
    words = {
        word: [box for name in sorted(meaning) for box in boxes.get(name, [])] for word, meaning in MEANINGS.items()
    }
    return words | {word: boxes.get(finding, []) for word, finding in BROADER.items()}


def _describe(study: Study, part: str, name: str, drawn: Drawn) -> VindrRow:
    rng = np.random.default_rng([study.seed, 2])
    truth = describe_study(rng, study.findings)
    if part == "test":  # a consensus, without names
        return VindrRow(part, (_label_row((name,), truth),), _box_rows(rng, (name,), truth, drawn))
    people = 1 + rng.permutation(READERS)[:3]
    readings = zip(people, (miss(rng, truth), truth, invent(rng, truth)), strict=True)
    readers = {f"R{number}": marked for number, marked in readings}
    labels = tuple(_label_row((name, reader), marked) for reader, marked in readers.items())
    boxes = [row for reader, marked in readers.items() for row in _box_rows(rng, (name, reader), marked, drawn)]
    return VindrRow(part, labels, tuple(boxes))


def describe_study(rng: np.random.Generator, findings: Sequence[str]) -> frozenset[str]:
    """The words of a study, as a careful reader gives them; `No finding` where there is none."""
    words = {word for word, meaning in MEANINGS.items() if meaning.intersection(findings)}
    words |= {word for word, finding in BROADER.items() if finding in findings and rng.random() < BROADER_SHARE}
    words |= {word for word, share in UNRELATED.items() if rng.random() < share}
    return frozenset(words or NORMAL)


def miss(rng: np.random.Generator, words: frozenset[str]) -> frozenset[str]:
    """What a strict reader marks of `words`: never nothing, since no published image is normal for one reader only."""
    return frozenset(word for word in sorted(words) if rng.random() >= MISSED_SHARE) or words


def invent(rng: np.random.Generator, words: frozenset[str]) -> frozenset[str]:
    """What a lenient reader marks: all of `words`, and where there is something now and then another."""
    more = frozenset(word for word in MEANINGS if rng.random() < INVENTED_SHARE)
    return words if words == NORMAL else words | more


def _label_row(ids: tuple[str, ...], marked: frozenset[str]) -> tuple[str, ...]:
    return (*ids, *(str(int(word in marked)) for word in WORDS))


def _box_rows(
    rng: np.random.Generator, ids: tuple[str, ...], marked: frozenset[str], drawn: Drawn
) -> tuple[tuple[str, ...], ...]:
    """A row per box of what is marked and has a place; one without a box where nothing is found."""
    if marked == NORMAL:
        return ((*ids, *NORMAL, "", "", "", ""),)
    words = [word for word in LOCAL_WORDS if word in marked]
    return tuple((*ids, word, *_jitter(rng, box, drawn)) for word in words for box in drawn.boxes.get(word, []))


def _jitter(rng: np.random.Generator, box: Box, drawn: Drawn) -> tuple[str, ...]:
    """The edges as one reader draws them, whole pixels within the picture."""
    height, width = drawn.height, drawn.width
    corners = np.array([box[0], box[1], box[0] + box[2], box[1] + box[3]])
    x_min, y_min, x_max, y_max = np.rint(corners + rng.normal(0, BOX_JITTER * height, 4))
    x_min, y_min = np.clip(x_min, 0, width - 1), np.clip(y_min, 0, height - 1)
    x_max, y_max = np.clip(x_max, x_min + 1, width), np.clip(y_max, y_min + 1, height)
    return tuple(str(float(int(edge))) for edge in (x_min, y_min, x_max, y_max))  # int: no -0.0


def _write_tables(rows: Sequence[VindrRow], root: Path) -> None:
    for part, ids, words in (("train", "image_id,rad_id", WORDS), ("test", "image_id", _TEST_WORDS)):
        mine = [row for row in rows if row.part == part]
        if not mine:
            continue
        folder = root / "annotations"
        labels = csv_text(f"{ids},{','.join(words)}", [line for row in mine for line in row.labels])
        boxes = csv_text(f"{ids},class_name,{_EDGES}", [line for row in mine for line in row.boxes])
        write_text(folder / f"image_labels_{part}.csv", labels)
        write_text(folder / f"annotations_{part}.csv", boxes)


LAYOUT = Layout(
    count_images=_count_images,
    write_patient=_write_patient,
    write_tables=_write_tables,
    entries=("train", "test", "annotations"),
)
