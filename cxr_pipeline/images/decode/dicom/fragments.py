"""The items that compressed pixel data lie in (PS3.5 A.4), and which of them are a frame."""

import struct
from collections.abc import Iterator

import numpy as np

from cxr_pipeline.errors import ImageError

FIRST_ITEM = b"\xfe\xff\x00\xe0"

_ITEM, _DELIMITER = (0xFFFE, 0xE000), (0xFFFE, 0xE0DD)
_MEND = "Export the file again from its archive."


def join_fragments(data: memoryview, *, frame: int, frames: int) -> bytes:
    """The compressed frame number `frame`, from 1, of `frames`; raises ImageError damaged, truncated or unsupported."""
    table, *fragments = _items(data)
    offsets = np.frombuffer(table[: len(table) // 4 * 4], "<u4").tolist()
    if len(offsets) > frames:
        raise ImageError("damaged", f"The data hold {len(offsets)} frames, the header counts {frames}. {_MEND}")
    if frames == 1:
        return b"".join(fragments)
    if len(offsets) == frames:
        ends = [*offsets[1:], len(data)]
        starts = np.cumsum([0, *(8 + len(fragment) for fragment in fragments)]).tolist()
        is_inside = [offsets[frame - 1] <= start < ends[frame - 1] for start in starts]
        return b"".join(fragment for fragment, inside in zip(fragments, is_inside, strict=False) if inside)
    if len(fragments) == frames:
        return bytes(fragments[frame - 1])
    raise ImageError(
        "unsupported",
        f"The {frames} frames lie in {len(fragments)} fragments without offsets. Convert it to one frame.",
    )


def _items(data: memoryview) -> Iterator[memoryview]:
    start = 0
    while start + 8 <= len(data):
        tag, length = struct.unpack_from("<2H", data, start), struct.unpack_from("<I", data, start + 4)[0]
        if tag == _DELIMITER:
            return
        if tag != _ITEM:
            raise ImageError("damaged", f"The compressed pixels are not in a sequence of items. {_MEND}")
        start += 8 + length
        if start <= len(data):
            yield data[start - length : start]
    raise ImageError("truncated", "The DICOM file ends within its compressed pixels. Fetch it again.")
