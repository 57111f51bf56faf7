"""A JPEG with more in it than its picture is decoded as Pillow decodes it; one with less is refused."""

import io
import struct

import numpy as np
import pytest
from PIL import Image

from cxr_pipeline.errors import ImageError
from cxr_pipeline.images.decode.jpeg import decode_jpeg
from cxr_pipeline.images.decode.jpeg_segments import END, START, find_other_process, mend, read_segments
from cxr_pipeline_tests.images.conftest import picture

ICC_IN_A_BAD_ORDER = b"\xff\xe2\x00\x14ICC_PROFILE\x00\x07\x02abcd"
HEADER_JUNK = {
    "stray bytes": b"abc",
    "zeros": bytes(5),
    "a stuffed byte": b"\xff\x00\x01",
    "a broken colour profile": ICC_IN_A_BAD_ORDER,
    "a JFIF of another major version": b"\xff\xe0\x00\x10JFIF\x00\x07\x01\x00\x00\x01\x00\x01\x00\x00",
    "an Adobe segment cut off": b"\xff\xee\x00\x0aAdobe\x00\x64\x00\x00",
    "an Adobe segment shorter than it says": b"\xff\xee\x00\x06Adobe\x00\x64",
    "an unknown colour transform": b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00\x09",
}
OPTIONS = [{}, {"progressive": True}, {"restart_marker_blocks": 4}]


def jpeg(mode="L", **options):
    buffer = io.BytesIO()
    Image.fromarray(picture(0, height=200, width=180)).convert(mode).save(buffer, "JPEG", **options)
    return buffer.getvalue()


def decode(data, *, stored_side=None):
    return decode_jpeg(data, stored_side=stored_side).plane.values


def reason_of(data, *, stored_side=None):
    with pytest.raises(ImageError) as error:
        decode(data, stored_side=stored_side)
    return error.value.reason


def by_pillow(data):
    return np.asarray(Image.open(io.BytesIO(data)))


@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("junk", HEADER_JUNK)
@pytest.mark.filterwarnings("ignore:Image appears to be a malformed")
def test_junk_before_the_picture_changes_no_pixel(mode, options, junk):
    data = jpeg(mode, **options)
    for segment in read_segments(data):
        if segment.code in (0xDB, 0xC0, 0xC2, 0xC4, 0xDA) and segment.start < data.index(b"\xff\xda") + 1:
            dirty = data[: segment.start] + HEADER_JUNK[junk] + data[segment.start :]
            np.testing.assert_array_equal(decode(dirty), decode(data))
            np.testing.assert_array_equal(by_pillow(dirty), by_pillow(data))


@pytest.mark.parametrize("count", [1, 2, 5, 9, 700])
@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
@pytest.mark.parametrize("options", OPTIONS)
def test_zeros_after_the_data_of_the_picture_change_no_pixel(mode, options, count):
    data = jpeg(mode, **options)
    np.testing.assert_array_equal(decode(data[:-2] + bytes(count) + END), decode(data))


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
@pytest.mark.parametrize("options", OPTIONS)
def test_an_end_marker_may_be_missing_where_all_data_are_there(mode, options):
    data = jpeg(mode, **options)
    np.testing.assert_array_equal(decode(data[:-2]), decode(data))
    np.testing.assert_array_equal(decode(data[:-1]), decode(data))
    np.testing.assert_array_equal(decode(data + b"anything"), decode(data))


@pytest.mark.parametrize("tail", [b"", END, bytes(4) + END, bytes(20), bytes(4096), bytes(4096) + END], ids=repr)
@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize("options", OPTIONS)
def test_no_cut_within_the_data_of_the_picture_passes_whatever_follows(mode, options, tail):
    data = jpeg(mode, **options)
    first = data.index(b"\xff\xda") + 12
    for end in [*range(first, len(data) - 60, 331), *range(len(data) - 60, len(data) - 8, 3)]:
        assert reason_of(data[:end] + tail, stored_side=64) in ("truncated", "damaged")


def test_a_progressive_picture_without_its_last_scans_is_truncated():
    data = jpeg(progressive=True)
    scans = [segment.start for segment in read_segments(data) if segment.code == 0xDA]
    assert len(scans) > 3
    for start in scans[1:]:
        assert reason_of(data[:start]) == "truncated"


def test_bytes_left_over_by_damaged_data_are_damage():
    data = jpeg()
    assert reason_of(data[:-2] + b"\x5a\xa5\x5a\xa5\x5a\xa5\x5a\xa5\x5a\xa5" + END) == "damaged"


def test_a_lost_table_is_damage():
    data = jpeg()
    table = next(segment for segment in read_segments(data) if segment.code == 0xDB)
    assert reason_of(data[: table.start] + bytes(table.stop - table.start) + data[table.stop :]) == "damaged"


def frame(code, precision=8, components=1):
    body = struct.pack(">BHHB", precision, 64, 64, components) + b"\x01\x11\x00" * components
    return (
        START
        + struct.pack(">BBH", 0xFF, code, len(body) + 2)
        + body
        + b"\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00"
        + END
    )


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (frame(0xC1, precision=12), "of 12 bits"),
        (frame(0xC3), "lossless"),
        (frame(0xC3, precision=16), "lossless"),
        (frame(0xC5), "hierarchical or differential"),
        (frame(0xF7), "JPEG-LS"),
        (frame(0xF7, precision=12), "JPEG-LS"),
        (frame(0xC0, components=2), "of 2 components"),
    ],
)
def test_a_jpeg_of_another_process_is_to_be_converted(data, found):
    assert find_other_process(data) == found
    with pytest.raises(ImageError, match=f"The JPEG is {found}.* Convert it to PNG") as error:
        decode(data)
    assert error.value.reason == "unsupported"


def test_usual_processes_are_no_others():
    for options in OPTIONS:
        assert find_other_process(jpeg(**options)) is None


def test_nothing_is_mended_where_no_picture_begins():
    for data in (START, START + END, jpeg()[:200], START + b"\xff\xda"):
        assert mend(data, "") == data
