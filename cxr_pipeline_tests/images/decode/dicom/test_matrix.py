"""Thousands of generated files, of every form that a header can take, are shown as the standard says: `standard`."""

import numpy as np
import pydicom
import pytest
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from cxr_pipeline.errors import ImageError
from cxr_pipeline.images.decode.pixels import decode_radiograph
from cxr_pipeline.images.decode.reasons import REASONS
from cxr_pipeline_tests.images.decode.dicom.coloured import channels_of, coloured_dicom, palette_of
from cxr_pipeline_tests.images.decode.dicom.dicoms import dicom_of
from cxr_pipeline_tests.images.decode.dicom.standard import Display, Table, shown_greys

SIDE = 32
FILES_OF_EACH = 130  # of 16 kinds: 2,080
FILES_OF_EACH_COLOUR = 12  # of 24 kinds: 288
MOST_REFUSED = 2  # of them
NATIVE = [ImplicitVRLittleEndian, ExplicitVRLittleEndian, DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian]
SYNTAXES = [*NATIVE, RLELossless, JPEGLosslessSV1, JPEGLSLossless, JPEG2000Lossless]
BITS = [(8, 8, 7), (8, 16, 7), (10, 16, 9), (12, 16, 11), (12, 16, 15), (14, 16, 13), (15, 16, 14), (16, 16, 15)]
WINDOWS = ["none", "LINEAR", "LINEAR_EXACT", "SIGMOID", "width 1", "narrow LINEAR", "narrow SIGMOID", "beside"]
PADDINGS = ["none", "US", "SS", "range"]
LUTS = ["none", "slope 2", "slope -1", "intercept -1024", "tiny slope", "modality", "voi 8", "voi 12", "voi 16"]
LUTS += ["voi 12 named 16", "voi 10 named 16", "voi 12 named 8", "voi 12 after -1024"]


@pytest.mark.parametrize("form", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("syntax", SYNTAXES, ids=lambda syntax: syntax.keyword)
def test_every_form_is_shown_as_the_standard_says(syntax, form):
    rng = np.random.default_rng([SYNTAXES.index(syntax), form == "MONOCHROME1"])
    refused = []
    for _ in range(FILES_OF_EACH):
        choice = draw(rng, syntax)
        display, stored, data = make_file(rng, syntax, form, **choice)
        try:
            greys = decode_radiograph(data, size=SIDE).pixels
        except ImageError as error:
            refused.append(error.reason)
            continue
        difference = np.abs(greys - shown_greys(display, stored)).max()
        assert difference <= 0.51, f"{choice} {difference}"  # rounding to a grey level alone is 0.5
    assert set(refused) <= set(REASONS)
    assert len(refused) <= MOST_REFUSED


@pytest.mark.parametrize("form", ["RGB", "YBR_FULL", "PALETTE COLOR"])
@pytest.mark.parametrize("syntax", SYNTAXES, ids=lambda syntax: syntax.keyword)
def test_every_grey_form_of_colours_is_shown_from_none_to_all_bits(syntax, form):
    """PS3.3 C.7.6.3.1.2: grey is R = G = B, or Y with neutral chroma; no window is defined for either."""
    rng = np.random.default_rng([SYNTAXES.index(syntax), len(form)])
    for _ in range(FILES_OF_EACH_COLOUR):
        greys, data = make_coloured_file(rng, syntax, form)
        assert np.abs(decode_radiograph(data, size=SIDE).pixels - greys).max() <= 0.51


def make_coloured_file(rng, syntax, form):
    """The greys 0..255 of the standard, and the file."""
    is_wide = syntax in NATIVE and rng.random() < 0.5
    bits = int(rng.choice([10, 12, 16])) if is_wide else 8
    places = make_picture(rng, 0, 2**bits - 1).astype(np.uint16 if is_wide else np.uint8)
    tags = {"WindowCenter": 7, "WindowWidth": 9, "syntax": syntax, "bits": bits}
    order = ">" if syntax == ExplicitVRBigEndian else "<"
    if form == "PALETTE COLOR":
        depth = int(rng.choice([8, 16]))
        entries = np.rint(np.linspace(1, 0, 2**bits) ** rng.uniform(0.5, 2) * (2**depth - 1))
        palette = palette_of(entries, bits=depth, order=order)
        return entries[places] / (2**depth - 1) * 255, dicom_of(places, shown=form, **tags, **palette)
    planar = int(rng.integers(2)) if syntax in NATIVE else 0
    channels = channels_of(places, form, bits)
    return places / (2**bits - 1) * 255, coloured_dicom(channels, form, planar=planar, order=order, **tags)


def draw(rng, syntax):
    bits = BITS[rng.integers(len(BITS))]
    if syntax not in (*NATIVE, RLELossless) and bits[2] != bits[0] - 1:
        bits = (12, 16, 11)
    pick = {name: options[rng.integers(len(options))] for name, options in _OPTIONS.items()}
    if syntax in (JPEGLosslessSV1, RLELossless) and bits[0] == 8:
        bits = (8, 8, 7)  # what the encoder here can write
    return {"bits": bits, **pick}


_OPTIONS = {"is_signed": [False, True], "window": WINDOWS, "padding": PADDINGS, "lut": LUTS}


def make_file(rng, syntax, form, *, bits, is_signed, window, padding, lut):
    """What is shown by the standard, the stored values, and the file."""
    stored_bits, allocated, high = bits
    low = -(2 ** (stored_bits - 1)) if is_signed else 0
    values = make_picture(rng, low, low + 2**stored_bits - 1)
    facts, tags, order = {}, {}, ">" if syntax == ExplicitVRBigEndian else "<"
    _add_padding(facts, tags, values, padding, low)
    limits = _add_lut(facts, tags, lut, (low, low + 2**stored_bits - 1), rng, order)
    _add_window(facts, tags, window, limits)
    words = (values << (high + 1 - stored_bits)).astype(f"{'i' if is_signed else 'u'}{allocated // 8}")
    display = Display(stored_bits, is_signed, form == "MONOCHROME1", **facts)
    return display, values, dicom_of(words, syntax=syntax, bits=stored_bits, shown=form, HighBit=high, **tags)


def make_picture(rng, low, high):
    """A slope with noise over all of the range, int64."""
    rows, columns = np.mgrid[:SIDE, :SIDE] / (SIDE - 1)
    share = np.clip((rows + columns) / 2 + rng.uniform(-0.05, 0.05, (SIDE, SIDE)), 0, 1)
    return np.rint(low + share * (high - low)).astype(np.int64)


def _add_padding(facts, tags, values, padding, low):
    if padding == "none":
        return
    limit = low + 3 if padding == "range" else low
    values[:] = np.maximum(values, limit + 1)
    values[:, :6] = np.random.default_rng(0).integers(low, limit + 1, (SIDE, 6))
    facts["padding"] = (low, limit)
    form = "SS" if padding == "SS" or (padding == "range" and low < 0) else "US"
    tags["PixelPaddingValue"] = _number("PixelPaddingValue", form, low)
    if padding == "range":
        tags["PixelPaddingRangeLimit"] = _number("PixelPaddingRangeLimit", form, limit)


def _number(keyword, form, number):
    return pydicom.DataElement(keyword, form, number % 2**16 if form == "US" else number)


def _add_lut(facts, tags, lut, limits, rng, order):
    """The limits of the values that a window is for."""
    low, high = limits
    slope, intercept = {
        "slope 2": (2, -1000),
        "slope -1": (-1, high),
        "intercept -1024": (1, -1024),
        "tiny slope": (0.000244, 0),
        "voi 12 after -1024": (1, -1024),
    }.get(lut, (1, 0))
    if (slope, intercept) != (1, 0):
        facts |= {"slope": slope, "intercept": intercept}
        tags |= {"RescaleSlope": str(slope), "RescaleIntercept": str(intercept)}
    if lut == "modality":
        table = Table(low, np.arange(high - low, -1, -1), top=high - low)
        facts["modality"] = table
        tags["ModalityLUTSequence"] = [_item(table, rng, 16, order, ModalityLUTType="US")]
        return 0, high - low
    low, high = sorted((low * slope + intercept, high * slope + intercept))
    if lut.startswith("voi"):
        _, bits, *_, named = (*lut.split(), "0")
        first = int(low + (high - low) * 0.1)
        curve = np.linspace(0, 1, int((high - low) * 0.8)) ** 1.5
        table = Table(first, np.rint(curve * (2 ** int(bits) - 1)).astype(int), top=2 ** int(bits) - 1)
        facts["voi"] = table
        tags["VOILUTSequence"] = [_item(table, rng, int(named) if "named" in lut else int(bits), order)]
    return low, high


def _item(table, rng, bits, order, **tags):
    item = pydicom.Dataset()
    count = len(table.entries) % 2**16
    is_signed = table.first < 0 and count < 2**15 and rng.random() < 0.5
    first = table.first if is_signed else table.first % 2**16
    item.add_new("LUTDescriptor", "SS" if is_signed else "US", [count, first, bits])
    is_short = len(table.entries) < 2**15
    if is_short and rng.random() < 0.5:
        item.add_new("LUTData", "US", table.entries.tolist())
    else:
        item.add_new("LUTData", "OW", table.entries.astype(f"{order}u2").tobytes())
    for keyword, value in tags.items():
        setattr(item, keyword, value)
    return item


def _add_window(facts, tags, window, limits):
    low, high = limits
    span = high - low
    if window == "none":
        return
    function = {"LINEAR_EXACT": "LINEAR_EXACT", "SIGMOID": "SIGMOID", "narrow SIGMOID": "SIGMOID"}.get(window, "LINEAR")
    centre, width = {
        "width 1": (round(low + span * 0.4), 1),
        "narrow LINEAR": (round(low + span * 0.4, 3), 0.7),
        "narrow SIGMOID": (round(low + span * 0.4, 3), 0.7),
        "beside": (round(high + 10 * span, 3), round(span / 10, 4)),
    }.get(window, (round(low + span * 0.45, 3), round(span * 0.6, 4)))
    facts |= {"function": function, "centre": centre, "width": width}
    tags |= {"WindowCenter": str(centre), "WindowWidth": str(width), "VOILUTFunction": function}
