"""Writes small DICOM files, uncompressed or in one compressed frame, for the tests."""

import io
from functools import partial

import imagecodecs
import numpy as np
import pydicom
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.pixels import apply_modality_lut, apply_voi_lut
from pydicom.uid import (
    JPEG2000,
    CTImageStorage,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from cxr_pipeline_tests.images.conftest import picture

SIZE = 64
FULL_WINDOW = {"WindowCenter": 2048, "WindowWidth": 4096}


def dicom_of(values, *, syntax=ExplicitVRLittleEndian, bits=12, shown="MONOCHROME2", **tags):
    """File bytes of `values` (uint8, uint16, int8 or int16), uncompressed or in one frame of `syntax`."""
    header = pydicom.Dataset()
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian if syntax == RLELossless else syntax
    header.SOPClassUID, header.SOPInstanceUID = CTImageStorage, "2.25.1"
    header.PatientName, header.PatientID = "Planted^Name", "planted-id"
    header.Rows, header.Columns, header.SamplesPerPixel = *values.shape, 1
    header.BitsAllocated, header.BitsStored, header.HighBit = 8 * values.itemsize, bits, bits - 1
    header.PixelRepresentation, header.PhotometricInterpretation = int(values.dtype.kind == "i"), shown
    header.PixelData = encapsulate([frame_of(values, syntax, bits)]) if syntax in FRAMES else values.tobytes()
    header["PixelData"].VR = "OW" if values.itemsize == 2 or syntax in FRAMES else "OB"
    for keyword, value in tags.items():
        if isinstance(value, pydicom.DataElement):
            header.add(value)
        else:
            setattr(header, keyword, value)
    if syntax == ExplicitVRBigEndian and "PixelData" not in tags:
        header.PixelData = values.astype(values.dtype.newbyteorder(">")).tobytes()
    if syntax == RLELossless:
        header.compress(RLELossless)
    buffer = io.BytesIO()
    pydicom.dcmwrite(buffer, header, enforce_file_format=True)
    return buffer.getvalue()


def frame_of(values, syntax, bits):
    """A compressed frame of the stored bits, signed ones as two's complements."""
    unsigned = values.view(f"u{values.itemsize}")
    return bytes(FRAMES[syntax](unsigned & unsigned.dtype.type(2**bits - 1), bits=bits))


def _jpeg(values, *, bits):
    return imagecodecs.jpeg8_encode(values, level=95, bitspersample=bits)


def _lossless_jpeg(values, *, bits, predictor):
    return imagecodecs.jpeg8_encode(values, lossless=True, predictor=predictor, bitspersample=bits)


def _jpeg_ls(values, *, bits, near):
    return imagecodecs.jpegls_encode(values, level=near)


def _jpeg_2000(values, *, bits, is_lossless):
    return imagecodecs.jpeg2k_encode(
        values, level=0 if is_lossless else 60, codecformat="j2k", bitspersample=bits, reversible=is_lossless
    )


FRAMES = {
    JPEGBaseline8Bit: _jpeg,
    JPEGExtended12Bit: _jpeg,
    JPEGLossless: partial(_lossless_jpeg, predictor=4),
    JPEGLosslessSV1: partial(_lossless_jpeg, predictor=1),
    JPEGLSLossless: partial(_jpeg_ls, near=0),
    JPEGLSNearLossless: partial(_jpeg_ls, near=2),
    JPEG2000Lossless: partial(_jpeg_2000, is_lossless=True),
    JPEG2000: partial(_jpeg_2000, is_lossless=False),
}


def without(data, *keywords, **tags):
    """The same file without some tags, and with others."""
    header = pydicom.dcmread(io.BytesIO(data))
    for keyword in keywords:
        delattr(header, keyword)
    for keyword, value in tags.items():
        setattr(header, keyword, value)
    buffer = io.BytesIO()
    header.save_as(buffer)
    return buffer.getvalue()


def lut_item(first, entries, bits):
    item = pydicom.Dataset()
    item.LUTDescriptor = [len(entries), first, bits]
    item.add_new("LUTData", "US", entries)
    return item


def values_of(seed=0, *, top=4095, dtype=np.uint16, height=SIZE, width=SIZE):
    """A smooth picture whose values fill 0 to `top`."""
    return np.rint(picture(seed, height=height, width=width) * (top / 250)).astype(dtype)


def shown_by_pydicom(header, stored):
    """What pydicom shows of `stored`, floats 0..255: rescale, VOI, scaled from the nominal range, then inverted."""
    values = apply_voi_lut(apply_modality_lut(stored, header), header).astype(float)
    slope, intercept = header.get("RescaleSlope", 1), header.get("RescaleIntercept", 0)
    bits, half = header.BitsStored, header.PixelRepresentation * 2 ** (header.BitsStored - 1)
    low, high = sorted((intercept - half * slope, (2**bits - 1 - half) * slope + intercept))
    share = (values - low) / (high - low)
    return 255 * (1 - share if header.PhotometricInterpretation == "MONOCHROME1" else share)
