import struct
import zlib

import cv2
import imagecodecs
import numpy as np
import pytest
from PIL import Image

from cxr_pipeline.errors import ImageError
from cxr_pipeline.images.decode import pixels as pixels_module
from cxr_pipeline.images.decode.letterbox import letterbox
from cxr_pipeline.images.decode.pixels import decode_radiograph, read_radiograph
from cxr_pipeline_tests.images.conftest import encode, picture
from cxr_pipeline_tests.images.decode.dicom.dicoms import dicom_of


def _encode_16_bit(values):
    return cv2.imencode(".png", values.astype(np.uint16))[1].tobytes()


def _chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def _png(height, width, rows, *, depth=8):
    header = _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + _chunk(b"IDAT", zlib.compress(rows)) + _chunk(b"IEND", b"")


def _jpeg_that_claims(height, width):
    data = encode(picture(0), "JPEG")
    frame = data.index(b"\xff\xc0") + 5
    return data[:frame] + struct.pack(">HH", height, width) + data[frame + 4 :]


def _flipped(data):
    return data[: len(data) // 2] + bytes([data[len(data) // 2] ^ 255]) + data[len(data) // 2 + 1 :]


def _colour_photo():
    return np.dstack([picture(1), picture(2), picture(3)])


UNUSABLE = {
    "an empty file": ("empty", b""),
    "half a PNG": ("truncated", encode(picture(0))[:700]),
    "a PNG header alone": ("truncated", encode(picture(0))[:20]),
    "a PNG without its last chunk": ("truncated", encode(picture(0))[:-12]),
    "half a JPEG": ("truncated", encode(picture(0), "JPEG")[:900]),
    "a JPEG header alone": ("truncated", encode(picture(0), "JPEG")[:50]),
    "a PNG with a flipped byte": ("damaged", _flipped(encode(picture(0)))),
    "a PNG with half of its rows": ("damaged", _png(64, 64, b"\x00" * 65 * 32)),
    "a PNG without a header chunk": ("damaged", encode(picture(0)).replace(b"IHDR", b"XHDR")),
    "a JPEG without a frame": ("damaged", encode(picture(0), "JPEG").replace(b"\xff\xc0", b"\xff\xfe")),
    "a web page": ("not_an_image", b"<html>404 Not Found</html>"),
    "a TIFF file": ("unsupported", encode(picture(0), "TIFF")),
    "a PNG bomb": ("too_large", _png(20_000, 20_000, b"")),
    "a JPEG bomb": ("too_large", _jpeg_that_claims(60_000, 60_000)),
    "an icon": ("too_small", encode(picture(0, height=16, width=16))),
    "a banner": ("absurd_aspect", encode(picture(0, height=40, width=200))),
    "a colour photograph": ("colour_photo", encode(_colour_photo())),
    "a colour photograph as JPEG": ("colour_photo", encode(_colour_photo(), "JPEG")),
    "a 16-bit colour photograph": ("colour_photo", _encode_16_bit(_colour_photo().astype(np.uint16) * 257)),
    "a black image": ("blank", encode(np.zeros((64, 64), np.uint8))),
    "a black image with a marker": ("blank", encode(np.pad(np.full((4, 4), 255, np.uint8), 60))),
    "a flat 16-bit image": ("blank", _encode_16_bit(np.full((64, 64), 30_000))),
}


@pytest.mark.parametrize("name", UNUSABLE)
def test_unusable_files_are_refused_with_their_reason(name):
    reason, data = UNUSABLE[name]
    with pytest.raises(ImageError) as error:
        decode_radiograph(data, size=32)
    assert error.value.reason == reason


@pytest.mark.parametrize("form", ["PNG", "JPEG"])
def test_no_truncation_ever_passes(form):
    data = encode(picture(0, height=128, width=128), form)
    for end in range(1, len(data) - 2, 41):
        with pytest.raises(ImageError) as error:
            decode_radiograph(data[:end], size=32)
        assert error.value.reason in ("truncated", "not_an_image")


def test_files_that_cannot_be_opened_have_a_reason(tmp_path, monkeypatch):
    for path, reason in ((tmp_path / "gone.png", "missing"), (tmp_path, "unreadable")):
        with pytest.raises(ImageError) as error:
            read_radiograph(path, size=32)
        assert error.value.reason == reason
    monkeypatch.setattr(pixels_module, "MAX_FILE_BYTES", 100)
    (tmp_path / "huge.png").write_bytes(encode(picture(0)))
    with pytest.raises(ImageError) as error:
        read_radiograph(tmp_path / "huge.png", size=32)
    assert error.value.reason == "too_large"


def test_messages_do_not_name_the_file(tmp_path):
    path = tmp_path / "patient00001.png"
    path.write_bytes(b"no image")
    with pytest.raises(ImageError) as error:
        read_radiograph(path, size=32)
    assert "patient00001" not in str(error.value)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "P"])
def test_a_grey_picture_is_the_same_in_every_png_form(mode):
    grey = picture(0, height=96, width=80)
    plain = decode_radiograph(encode(grey), size=48)
    other = decode_radiograph(encode(grey, mode=mode), size=48)
    np.testing.assert_array_equal(other.pixels, plain.pixels)
    assert (plain.source_mode, other.source_mode) == ("L8", f"{mode}8")
    photometric = {"LA": "MONOCHROME2", "P": "PALETTE"}.get(mode, "RGB")
    assert (plain.photometric, other.photometric) == ("MONOCHROME2", photometric)
    assert (other.source_height, other.source_width) == (96, 80)


def test_alpha_is_left_out_not_blended():
    grey = picture(0)
    transparent = np.dstack([grey, grey, grey, np.zeros_like(grey)])
    expected = decode_radiograph(encode(grey), size=64).pixels
    np.testing.assert_array_equal(decode_radiograph(encode(transparent), size=64).pixels, expected)


@pytest.mark.parametrize(("mode", "stored"), [("L", "L8"), ("RGB", "RGB8"), ("CMYK", "CMYK8")])
def test_jpeg_is_read_as_pillow_reads_it(tmp_path, mode, stored):
    path = tmp_path / "image.jpg"
    path.write_bytes(encode(picture(0), "JPEG", mode=mode))
    radiograph = read_radiograph(path, size=64)
    with Image.open(path) as image:
        expected = np.asarray(image.convert("RGB").convert("L"))
    assert radiograph.source_mode == stored
    np.testing.assert_allclose(radiograph.pixels.astype(int), expected, atol=1)


def test_luma_is_that_of_rec_601():
    tint = np.dstack([picture(0), np.clip(picture(0) - 20.0, 0, 255), np.clip(picture(0) - 10.0, 0, 255)])
    tint = tint.astype(np.uint8)
    expected = tint @ np.array([0.299, 0.587, 0.114])
    np.testing.assert_allclose(decode_radiograph(encode(tint), size=64).pixels, expected, atol=0.6)


def test_a_coloured_annotation_does_not_make_a_photograph():
    annotated = np.dstack([picture(0)] * 3)
    annotated[4:10, 4:24] = (255, 0, 0)
    assert decode_radiograph(encode(annotated), size=64).source_mode == "RGB8"


def test_large_images_are_averaged_by_area():
    source = picture(0, height=256, width=128)
    stored = decode_radiograph(encode(source), size=64).pixels
    blocks = source.reshape(64, 4, 32, 4).mean(axis=(1, 3))
    np.testing.assert_allclose(stored[:, 16:48], blocks, atol=0.51)
    assert not stored[:, :16].any()
    assert not stored[:, 48:].any()


def test_an_image_of_the_stored_size_keeps_its_pixels():
    np.testing.assert_array_equal(decode_radiograph(encode(picture(0)), size=64).pixels, picture(0))


def test_small_images_are_enlarged_without_bars():
    stored = decode_radiograph(encode(picture(0)), size=128).pixels
    back = stored.reshape(64, 2, 64, 2).mean(axis=(1, 3))
    assert np.abs(back - picture(0)).max() < 8


@pytest.mark.parametrize("top", [65_535, 4_095, 700])
def test_a_16_bit_ramp_fills_the_range_without_saturating(top):
    ramp = np.tile(np.linspace(0, top, 256), (256, 1))
    radiograph = decode_radiograph(_encode_16_bit(ramp), size=256)
    row = radiograph.pixels[100].astype(int)
    expected = np.clip((np.linspace(0, 1, 256) - 0.005) / 0.99, 0, 1) * 255
    np.testing.assert_allclose(row, expected, atol=2)
    assert (radiograph.source_mode, radiograph.bit_depth) == ("L16", 16)
    assert np.isin(radiograph.pixels, (0, 255)).mean() < 0.02


def test_bright_markers_do_not_darken_a_16_bit_image():
    source = picture(0, height=128, width=128).astype(np.uint16) * 8
    marked = source.copy()
    marked[:6, :6] = 65_535
    plain, other = (decode_radiograph(_encode_16_bit(x), size=128).pixels.astype(int) for x in (source, marked))
    assert np.abs(plain - other)[8:].max() <= 12  # scaled from minimum to maximum, 8 levels would be left


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_png_of_few_bits_fills_the_range(depth):
    steps = 2**depth
    row = np.packbits(np.repeat(np.arange(steps), 64 // steps)[:, None] >> np.arange(depth)[::-1] & 1)
    data = _png(64, 64, (b"\0" + row.tobytes()) * 64, depth=depth)
    radiograph = decode_radiograph(data, size=64)
    np.testing.assert_array_equal(np.unique(radiograph.pixels), np.arange(steps) * 255 // (steps - 1))
    assert (radiograph.source_mode, radiograph.bit_depth) == (f"L{depth}", depth)


def test_16_bit_values_with_alpha_are_scaled_without_it():
    grey = picture(0).astype(np.uint16) * 200
    blended = imagecodecs.png_encode(np.dstack([grey, np.full_like(grey, 9)]))
    radiograph = decode_radiograph(blended, size=64)
    np.testing.assert_array_equal(radiograph.pixels, decode_radiograph(_encode_16_bit(grey), size=64).pixels)
    assert (radiograph.source_mode, radiograph.bit_depth) == ("LA16", 16)


def test_the_placement_of_a_picture_is_that_of_its_pixels():
    radiograph = decode_radiograph(encode(picture(0, height=96, width=80)), size=48)
    assert radiograph.placement == letterbox(96, 80, size=48)
    assert radiograph.bit_depth == 8


def _bordered(top, left, bottom, right, *, border=0):
    return np.pad(
        np.maximum(picture(0, height=160, width=120), 30), ((top, bottom), (left, right)), constant_values=border
    )


@pytest.mark.parametrize(("border", "form"), [(0, "PNG"), (10, "PNG"), (0, "JPEG")])
def test_black_borders_are_cut_off_where_asked_for_and_the_cut_is_recorded(border, form):
    source = _bordered(24, 40, 8, 0, border=border)
    cropped = decode_radiograph(encode(source, form), size=64, crop_borders=True)
    expected = letterbox(160, 120, size=64, crop_top=24, crop_left=40)
    assert cropped.placement == expected
    assert (cropped.source_height, cropped.source_width) == source.shape
    plain = decode_radiograph(encode(np.ascontiguousarray(source[24:184, 40:160])), size=64).pixels
    np.testing.assert_allclose(cropped.pixels, plain, atol=0 if form == "PNG" else 6)
    assert decode_radiograph(encode(source, form), size=64).placement == letterbox(*source.shape, size=64)


def test_a_letter_or_dead_pixels_in_a_border_do_not_keep_it():
    source = _bordered(30, 30, 30, 30)
    source[10:14, 10:13] = 255
    placement = decode_radiograph(encode(source), size=64, crop_borders=True).placement
    assert (placement.crop_top, placement.crop_left) == (30, 30)


def test_a_picture_that_would_lose_most_of_itself_is_left_whole():
    source = np.zeros((200, 200), np.uint8)
    source[20:90, 20:90] = picture(0, height=70, width=70)
    assert decode_radiograph(encode(source), size=64, crop_borders=True).placement == letterbox(200, 200, size=64)


def test_borders_of_a_dicom_file_are_black_as_shown():
    shown = _bordered(24, 40, 8, 0).astype(np.uint16) * 16
    data = dicom_of(4095 - shown, shown="MONOCHROME1", WindowCenter=2048, WindowWidth=4096)
    placement = decode_radiograph(data, size=64, crop_borders=True).placement
    assert (placement.crop_top, placement.crop_left) == (24, 40)


@pytest.mark.realdata
def test_real_rgba_files_are_opaque_grey_and_read_like_the_others(nih_folder):
    paths = [p for p in sorted(nih_folder.glob("images_*/images/*.png")) if p.read_bytes()[25] == 6]
    assert len(paths) == 10
    for path in paths:
        with Image.open(path) as image:
            bands = np.asarray(image)
        radiograph = read_radiograph(path, size=256)
        assert radiograph.source_mode == "RGBA8"
        assert bands[..., 3].min() == 255
        np.testing.assert_allclose(
            radiograph.pixels, bands[..., 0].reshape(256, 4, 256, 4).mean(axis=(1, 3)), atol=0.51
        )
