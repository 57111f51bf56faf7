"""Writes small DICOM files, uncompressed or in one compressed frame, for the tests."""

import io

import numpy as np
import pydicom
from PIL import Image
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    JPEG2000,
    CTImageStorage,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLosslessSV1,
    RLELossless,
)

from cxr_pipeline_tests.images.conftest import picture

SIZE = 64
FULL_WINDOW = {"WindowCenter": 2048, "WindowWidth": 4096}


def dicom_of(values, *, syntax=ExplicitVRLittleEndian, bits=12, shown="MONOCHROME2", **tags):
    """File bytes of `values` (uint8, uint16 or int16), uncompressed or in one frame of `syntax`."""
    header = pydicom.Dataset()
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian if syntax == RLELossless else syntax
    header.SOPClassUID, header.SOPInstanceUID = CTImageStorage, "2.25.1"
    header.PatientName, header.PatientID = "Planted^Name", "planted-id"
    header.Rows, header.Columns, header.SamplesPerPixel = *values.shape, 1
    header.BitsAllocated, header.BitsStored, header.HighBit = 8 * values.itemsize, bits, bits - 1
    header.PixelRepresentation, header.PhotometricInterpretation = int(values.dtype.kind == "i"), shown
    header.PixelData = PIXEL_DATA.get(syntax, _native)(values)
    header["PixelData"].VR = "OW" if values.itemsize == 2 or syntax in PIXEL_DATA else "OB"
    for keyword, value in tags.items():
        setattr(header, keyword, value)
    if syntax == ExplicitVRBigEndian:
        header.PixelData = values.astype(values.dtype.newbyteorder(">")).tobytes()
    if syntax == RLELossless:
        header.compress(RLELossless)
    buffer = io.BytesIO()
    pydicom.dcmwrite(buffer, header, enforce_file_format=True)
    return buffer.getvalue()


def _native(values):
    return values.tobytes()


def _frame(form, **options):
    def encode(values):
        buffer = io.BytesIO()
        Image.fromarray(values).save(buffer, form, **options)
        return encapsulate([buffer.getvalue()])

    return encode


PIXEL_DATA = {
    JPEG2000Lossless: _frame("JPEG2000", no_jp2=True, irreversible=False),
    JPEG2000: _frame("JPEG2000", no_jp2=True, irreversible=True),
    JPEGBaseline8Bit: _frame("JPEG", quality=95),
    JPEGExtended12Bit: _frame("JPEG"),
    JPEGLosslessSV1: _frame("JPEG"),
}


def without(data, *keywords):
    header = pydicom.dcmread(io.BytesIO(data))
    for keyword in keywords:
        delattr(header, keyword)
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
