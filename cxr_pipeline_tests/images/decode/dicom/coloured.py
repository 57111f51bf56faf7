"""Writes small DICOM files of three samples or a palette, for the tests."""

import imagecodecs
import numpy as np
from pydicom.encaps import encapsulate
from pydicom.uid import (
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
)

from cxr_pipeline_tests.images.decode.dicom.dicoms import dicom_of

ENCODERS = {
    JPEGBaseline8Bit: lambda values: imagecodecs.jpeg8_encode(values, level=97),
    JPEGLosslessSV1: lambda values: imagecodecs.jpeg8_encode(values, lossless=True, predictor=1),
    JPEGLSLossless: imagecodecs.jpegls_encode,
    JPEG2000Lossless: lambda values: imagecodecs.jpeg2k_encode(values, level=0, codecformat="j2k", reversible=True),
}


def channels_of(grey, form, bits=8):
    """Three channels of a grey picture, of its type."""
    neutral = np.full_like(grey, 2 ** (bits - 1)) if form.startswith("YBR_FULL") else grey
    return np.stack([grey, neutral, neutral], axis=-1)


def coloured_dicom(channels, form, *, syntax=ExplicitVRLittleEndian, bits=8, planar=0, order="<", **tags):
    """A file of channels [rows, columns, 3]."""
    first = np.ascontiguousarray(channels[..., 0])
    if syntax in ENCODERS:
        tags = {"PixelData": encapsulate([bytes(ENCODERS[syntax](channels))]), **tags}
    else:
        ordered = channels.astype(channels.dtype.newbyteorder(order))
        tags = {"PixelData": (np.moveaxis(ordered, -1, 0) if planar else ordered).tobytes(), **tags}
    return dicom_of(
        first,
        syntax=syntax,
        bits=bits,
        shown=form,
        SamplesPerPixel=3,
        PlanarConfiguration=planar,
        **tags,
    )


def palette_of(entries, *, bits, first=0, blue=None, packed=False, order="<"):
    tags = {}
    for name, table in (("Red", entries), ("Green", entries), ("Blue", entries if blue is None else blue)):
        tags[f"{name}PaletteColorLookupTableDescriptor"] = [len(entries) % 2**16, first, bits]
        tags[f"{name}PaletteColorLookupTableData"] = table.astype("u1" if packed else f"{order}u2").tobytes()
    return tags
