"""Image files at the native sizes and forms of the public collections: real ones where they are, phantoms elsewhere."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import imagecodecs
import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    DigitalXRayImageStorageForPresentation,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
)

from cxr_pipeline.phantom.render import STYLES, render

SHARED = Path(__file__).parents[3] / "shared" / "data"
NIH_FILES = 24
BITS = 14  # of the DICOM phantoms; the renderer gives 8, the others are quantum noise
# Noise so that a file has about the published bytes per pixel (CheXpert 0.3, VinDr 1.1 compressed without loss).
NOISE = {"chexpert": 0.014, "mimic": 0.012, "padchest": 0.008, "vindr": 0.006}


@dataclass(frozen=True)
class Collection:
    """Files of one form, and the least ratios that they are held to."""

    name: str
    files: Sequence[Path]
    peak: int  # greatest value of a pixel, as torchxrayvision is told it
    bar: float | None = None  # over torchxrayvision's default
    cv2_bar: float | None = None  # over its cv2 engine
    is_dicom: bool = False


def write_collections(folder: Path, *, count: int = 2) -> list[Collection]:
    """Renders `count` phantoms of each form, 2 to 4 s each; the real NIH and DICOM files are read where they lie."""
    chexpert = [_write(folder / f"chexpert-{n}.jpg", _chest(n, "chexpert", 2320, 2828)) for n in range(count)]
    mimic = [_write(folder / f"mimic-{n}.jpg", _chest(n, "mimic", 3056, 2544)) for n in range(count)]
    padchest = [_write(folder / f"padchest-{n}.png", _deepen(n, "padchest", 2580, 2500, 12)) for n in range(count)]
    vindr = [_deepen(n, "vindr", 3000, 2500, BITS) for n in range(count)]
    collections = [
        Collection("CheXpert JPEG 2320 x 2828", chexpert, 255, bar=5.0, cv2_bar=1.7),
        Collection("MIMIC JPEG 3056 x 2544", mimic, 255, bar=5.0, cv2_bar=1.7),
        Collection(*_nih(folder, count), peak=255, bar=3.5),
        Collection("PadChest PNG of 16 bits", padchest, 65535),
    ]
    for syntax, (name, bar) in DICOM_FORMS.items():
        files = [_write_dicom(folder / f"{syntax.keyword}-{n}.dcm", values, syntax) for n, values in enumerate(vindr)]
        collections.append(Collection(f"VinDr DICOM {name}", files, 2**BITS - 1, bar=bar, is_dicom=True))
    return collections + _real_dicoms()


DICOM_FORMS = {
    ExplicitVRLittleEndian: ("uncompressed", 15.0),
    JPEG2000Lossless: ("JPEG 2000", 15.0),
    JPEGLosslessSV1: ("JPEG Lossless", None),
    JPEGLSLossless: ("JPEG-LS", None),
}


def _nih(folder: Path, count: int) -> tuple[str, list[Path]]:
    real = sorted((SHARED / "nih").glob("images_*/images/*.png"))
    if real:
        return f"NIH PNG, {NIH_FILES} real files", real[:: len(real) // NIH_FILES][:NIH_FILES]
    return "NIH PNG, phantoms", [_write(folder / f"nih-{n}.png", _chest(n, "nih", 1024, 1024)) for n in range(count)]


def _real_dicoms() -> list[Collection]:
    forms = {  # name -> file, and its bar
        "real CR, JPEG 2000 lossy": ("RG1_J2KI.dcm", 15.0),
        "real CR, JPEG": ("1.2.276.0.7230010.3.1.4.8323329.6904.1517875201.850819.dcm", None),
    }
    found = {name: (SHARED / "dicom" / file, bar) for name, (file, bar) in forms.items()}
    return [
        Collection(f"DICOM {name}", [path], 0, bar=bar, is_dicom=True)
        for name, (path, bar) in found.items()
        if path.is_file()
    ]


def _chest(seed: int, source: str, height: int, width: int) -> NDArray[np.uint8]:
    style = STYLES[source]
    aspect = width / height
    shaped = replace(style, aspect=(aspect, aspect), noise=NOISE.get(source, style.noise))
    return render(np.random.default_rng(seed), ["Effusion", "Nodule"], size=height, style=shaped).pixels


def _deepen(seed: int, source: str, height: int, width: int, bits: int) -> NDArray[np.uint16]:
    top = 2**bits - 1
    noise = np.random.default_rng(seed).normal(0, top / 400, (height, width))
    return np.clip(_chest(seed, source, height, width) * (top / 255) + noise, 0, top).astype(np.uint16)


def _write(path: Path, pixels: NDArray[np.generic]) -> Path:
    cv2.imwrite(str(path), pixels, [cv2.IMWRITE_JPEG_QUALITY, 95] if path.suffix == ".jpg" else [])
    return path


def _write_dicom(path: Path, values: NDArray[np.uint16], syntax: pydicom.uid.UID) -> Path:
    header = pydicom.Dataset()
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = syntax
    header.SOPClassUID, header.SOPInstanceUID = DigitalXRayImageStorageForPresentation, "2.25.1"
    header.Modality, header.BodyPartExamined = "DX", "CHEST"
    header.Rows, header.Columns = values.shape
    header.SamplesPerPixel, header.PixelRepresentation, header.PhotometricInterpretation = 1, 0, "MONOCHROME2"
    header.BitsAllocated, header.BitsStored, header.HighBit = 16, BITS, BITS - 1
    header.WindowCenter, header.WindowWidth = 2 ** (BITS - 1), 2**BITS
    header.PixelData = _compress(values, syntax)
    header["PixelData"].VR = "OW"
    pydicom.dcmwrite(path, header, enforce_file_format=True)
    return path


def _compress(values: NDArray[np.uint16], syntax: pydicom.uid.UID) -> bytes:
    if syntax == JPEG2000Lossless:
        frame = imagecodecs.jpeg2k_encode(values, level=0, codecformat="j2k", bitspersample=BITS, reversible=True)
    elif syntax == JPEGLosslessSV1:
        frame = imagecodecs.jpeg8_encode(values, lossless=True, predictor=1, bitspersample=BITS)
    elif syntax == JPEGLSLossless:
        frame = imagecodecs.jpegls_encode(values)
    else:
        return values.tobytes()
    return encapsulate([bytes(frame)])
