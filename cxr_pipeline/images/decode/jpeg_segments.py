"""JPEG files cut into their segments: which process made one, and files that hold more than their picture mended.

libjpeg reads over stray bytes with a warning, as Pillow, OpenCV and browsers let it; our decoder is strict and takes
every warning for damage. So what is no part of the picture is taken out here, and the strict decoder judges the rest:
the data of the picture itself are never changed.
"""

import re
import struct
from collections.abc import Iterator
from typing import NamedTuple

START, END = b"\xff\xd8", b"\xff\xd9"

_MARKER = re.compile(rb"\xff+([^\x00\xff])", re.DOTALL)  # any number of 0xFF may stand before a marker's code
_STRAY = re.compile(r"(\d+) extraneous bytes before marker 0x([0-9a-f]{2})")
_ZERO_TAIL = re.compile(rb"(?<!\xff)\x00\Z")  # what a disk puts in the place of an end that was never written
_SOI, _EOI, _SOS, _DQT, _DHT, _DAC, _DRI, _APP0, _APP14 = 0xD8, 0xD9, 0xDA, 0xDB, 0xC4, 0xCC, 0xDD, 0xE0, 0xEE
_BARE = frozenset({0x01, *range(0xD0, 0xD8)})  # markers without a length: TEM, RST0 to RST7
_FRAMES = frozenset({0xF7, *range(0xC0, 0xD0)} - {_DHT, 0xC8, _DAC})  # SOFn; 0xF7 is that of JPEG-LS
_SEQUENTIAL, _PROGRESSIVE = (0xC0, 0xC1, 0xC9), (0xC2, 0xCA)  # of Huffman codes, and of arithmetic ones
_TABLES = frozenset({_DQT, _DHT, _DAC, _DRI})
_JFIF = b"\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"
_PROCESSES = {0xC3: "lossless", 0xCB: "lossless, arithmetic", 0xF7: "JPEG-LS"}


class Segment(NamedTuple):
    """One marker segment (ITU-T T.81 B.1.1.4): `start` and `stop` are offsets of its marker and of what follows it."""

    code: int
    start: int
    stop: int
    body: bytes  # after the length


def read_segments(data: bytes) -> Iterator[Segment]:
    """Segments of a JPEG file in order, as libjpeg finds them: bytes between two of them are passed over.

    After a scan's header the next marker is looked for in its data. The end of the image is a segment, and the last.
    """
    position = len(START)
    while match := _MARKER.search(data, position):
        code, after = match[1][0], match.end()
        if code in _BARE:
            position = after
            continue
        if code in (_SOI, _EOI) or after + 2 > len(data):
            yield Segment(code, after - 2, after, b"")
            return
        position = after + max(2, *struct.unpack_from(">H", data, after))
        yield Segment(code, after - 2, position, data[after + 2 : position])


def find_other_process(data: bytes) -> str | None:
    """What the JPEG is where it is none of 8 bits, sequential or progressive: those that libjpeg's fast path reads."""
    frame = next((segment for segment in read_segments(data) if segment.code in _FRAMES), None)
    if frame is None or len(frame.body) < 6:
        return None
    if frame.code not in _SEQUENTIAL + _PROGRESSIVE:
        return _PROCESSES.get(frame.code, "hierarchical or differential")
    if frame.body[0] != 8:
        return f"of {frame.body[0]} bits"
    return f"of {frame.body[5]} components" if frame.body[5] not in (1, 3, 4) else None


def has_scan(data: bytes) -> bool:
    """Whether the file goes on to the data of a picture, behind a frame header."""
    codes = [segment.code for segment in read_segments(data)]
    return _SOS in codes and not _FRAMES.isdisjoint(codes)


def mend(data: bytes, complaint: str) -> bytes:
    """`data` without what libjpeg has the `complaint` about; `data` itself where that may be the picture's damage.

    Mended are: stray bytes and odd application segments before the picture, zeros between the data of a scan and the
    marker after it, and an end marker that is missing although every scan is there.
    """
    segments = list(read_segments(data))
    first_scan = next((segment for segment in segments if segment.code == _SOS), None)
    if first_scan is None:
        return data
    if _has_every_scan(segments):
        if stray := _STRAY.search(complaint):
            trimmed = _without_zeros(data, first_scan.stop, int(stray[1]), bytes.fromhex(stray[2]))
            if trimmed != data:
                return trimmed
        if segments[-1].code != _EOI and not _ZERO_TAIL.search(data):
            return data + END
    return _write_header(data, segments, first_scan)


def _without_zeros(data: bytes, start: int, count: int, code: bytes) -> bytes:
    """Without the zeros, at least `count`, between a scan's data and its end; a zero after 0xFF belongs to the data.

    All are taken out: where a disk has put zeros in the place of data, the decoder takes some for the picture, which
    then ends too early. Other bytes stay, as a decoder that lost its way in damaged data has such left over.
    """
    run = rb"(?:(?<=\xff\x00)|(?<![\x00\xff]))\x00{%d,}(\xff+%s)" % (count, re.escape(code))
    zeros = re.compile(run, re.DOTALL).search(data, start)
    return data[: zeros.start()] + data[zeros.start(1) :] if zeros else data


def _has_every_scan(segments: list[Segment]) -> bool:
    """Whether the scans hold every coefficient of every component to its last bit (T.81 G.1.1.1)."""
    frame = next((segment for segment in segments if segment.code in _FRAMES), None)
    if frame is None or len(frame.body) < 6:
        return False
    is_progressive = frame.code in _PROGRESSIVE
    missing = {(number, k) for number in frame.body[6::3] for k in range(64)}
    for scan in (segment.body for segment in segments if segment.code == _SOS):
        if not scan or len(scan) != 4 + 2 * scan[0]:
            return False
        first, last, precision = scan[-3:] if is_progressive else (0, 63, 0)
        if precision & 0x0F == 0:
            missing -= {(number, k) for number in scan[1:-3:2] for k in range(first, last + 1)}
    return not missing


def _write_header(data: bytes, segments: list[Segment], first_scan: Segment) -> bytes:
    """What the decoder needs before the first scan: tables, the frame, and how the colours are meant."""
    header = segments[: segments.index(first_scan)]
    frame = next((segment for segment in header if segment.code in _FRAMES), None)
    if frame is None or len(frame.body) < 6:
        return data
    kept = [data[one.start : one.stop] for one in header if one.code in _TABLES or one is frame]
    is_jfif = any(one.code == _APP0 and one.body.startswith(b"JFIF\0") and len(one.body) >= 14 for one in header)
    inks = [one.body for one in header if one.code == _APP14 and one.body.startswith(b"Adobe") and len(one.body) >= 12]
    adobe = [_write_adobe(inks[-1], components=frame.body[5])] if inks else []
    scan = first_scan.body
    if frame.code in _SEQUENTIAL and len(scan) > 3:
        scan = scan[:-3] + b"\x00\x3f\x00"  # the only values that mean anything there
    start = data[first_scan.start : first_scan.start + 4] + scan
    return b"".join([START, *([_JFIF] if is_jfif else []), *adobe, *kept, start, data[first_scan.stop :]])


def _write_adobe(body: bytes, *, components: int) -> bytes:
    """With a colour transform that is defined: libjpeg takes an unknown one for YCbCr or YCCK, and warns."""
    usual = 2 if components == 4 else 1
    transform = body[11] if body[11] in (0, usual) else usual
    return b"\xff\xee\x00\x0e" + body[:11] + bytes([transform])
