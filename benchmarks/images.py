"""From image files to stored pixels: ours against torchxrayvision's default and its cv2 engine, and against the truth.

One process, one core, the same files, 384 pixels. CPU milliseconds are the least of the runs; the machine decides them,
the ratios compare. Fidelity is the peak signal to noise ratio against a full decode, windowed and averaged in floats;
rounding to 8 bits alone leaves 59 dB. Run by `make bench`, or `python benchmarks/images.py`.
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import imagecodecs
import numpy as np
import pydicom
import torch
from inputs.radiographs import Collection, write_collections
from inputs.rival import import_torchxrayvision, read_by_torchxrayvision
from numpy.typing import NDArray
from PIL import Image
from pydicom.encaps import get_frame
from pydicom.pixels import apply_modality_lut, apply_voi_lut

from cxr_pipeline.images.decode.exposure import GREY_WINDOW
from cxr_pipeline.images.decode.pixels import Radiograph, read_radiograph

SIZE = 384
RUNS = 3
LEAST_DECIBELS = 50.0


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        compare_decoding(Path(folder))


def compare_decoding(folder: Path) -> None:
    """Prints a line for each form of file, and whether it keeps its bars."""
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    package = import_torchxrayvision()
    collections = write_collections(folder)
    print("form of file                    bytes/px   ours ms   default ms  ratio   cv2 ms  ratio   least dB")
    for collection in collections:
        print(_compare(package, collection), flush=True)


def _compare(package: Any, collection: Collection) -> str:
    ours = _milliseconds(collection, lambda path: read_radiograph(path, size=SIZE), runs=RUNS)
    default, by_cv2 = (_rival_milliseconds(package, collection, engine) for engine in ("skimage", "cv2"))
    decibels = min(_decibels(path) for path in collection.files)
    line = (
        f"{collection.name:32s} {_bytes_per_pixel(collection):7.2f} {ours:9.1f} {default:12.1f} {default / ours:6.1f} "
        f"{by_cv2:8.1f} {by_cv2 / ours:6.1f} {decibels:10.1f}"
    )
    bars = {
        f"x{collection.bar}": collection.bar is None or default / ours >= collection.bar,
        f"x{collection.cv2_bar} over cv2": collection.cv2_bar is None or by_cv2 / ours >= collection.cv2_bar,
        f"{LEAST_DECIBELS:.0f} dB": decibels >= LEAST_DECIBELS,
    }
    missed = [bar for bar, is_kept in bars.items() if not is_kept]
    return line + (f"   MISSED: {', '.join(missed)}" if missed else "")


def _rival_milliseconds(package: Any, collection: Collection, engine: str) -> float:
    """NaN where it cannot read the files: without a plugin for JPEG Lossless or JPEG-LS in DICOM."""

    def read(path: Path) -> object:
        return read_by_torchxrayvision(package, path, peak=collection.peak, size=SIZE, engine=engine)

    try:
        return _milliseconds(collection, read, runs=2)
    except (RuntimeError, NotImplementedError):
        return float("nan")


def _milliseconds(collection: Collection, read: Callable[[Path], object], *, runs: int) -> float:
    """CPU time per file, the least of `runs` passes after one file has warmed everything up."""
    read(collection.files[0])
    passes = []
    for _ in range(runs):
        started = time.process_time()
        for path in collection.files:
            read(path)
        passes.append(time.process_time() - started)
    return 1000 * min(passes) / len(collection.files)


def _bytes_per_pixel(collection: Collection) -> float:
    pixels = sum(r.source_height * r.source_width for r in (read_radiograph(p, size=SIZE) for p in collection.files))
    return sum(path.stat().st_size for path in collection.files) / pixels


def _decibels(path: Path) -> float:
    radiograph = read_radiograph(path, size=SIZE)
    stored = radiograph.placement.content(radiograph.pixels)
    return float(10 * np.log10(255**2 / np.mean((stored - _exact(path, radiograph)) ** 2)))


def _exact(path: Path, radiograph: Radiograph) -> NDArray[np.float32]:
    """The stored picture without shortcuts: every pixel decoded by another program, shown, averaged; not rounded."""
    shape = (radiograph.placement.width, radiograph.placement.height)
    whole = _shown_dicom(path) if path.suffix == ".dcm" else _grey(path)
    small = cv2.resize(whole.astype(np.float32), shape, interpolation=cv2.INTER_AREA)
    if radiograph.source_mode != "L16":
        return small
    low, high = np.percentile(small, GREY_WINDOW)
    return np.clip((small - low) / (high - low) * 255, 0, 255)


def _grey(path: Path) -> NDArray[Any]:
    with Image.open(path) as image:
        return np.asarray(image if image.mode.startswith("I") else image.convert("L"))


def _shown_dicom(path: Path) -> NDArray[np.float64]:
    header = pydicom.dcmread(path)
    values = apply_voi_lut(apply_modality_lut(_stored_values(header), header), header)
    share = values / (2**header.BitsStored - 1)
    return 255 * (1 - share if header.PhotometricInterpretation == "MONOCHROME1" else share)


def _stored_values(header: pydicom.Dataset) -> NDArray[Any]:
    try:
        return header.pixel_array
    except (RuntimeError, NotImplementedError):  # pydicom without a plugin
        frame = get_frame(header.PixelData, 0, number_of_frames=1)
        decode = imagecodecs.ljpeg_decode if "JPEG Lossless" in header.file_meta.TransferSyntaxUID.name else None
        return (decode or imagecodecs.jpegls_decode)(frame)


if __name__ == "__main__":
    main()
