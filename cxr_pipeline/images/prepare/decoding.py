"""Many image files, decoded in processes that may die: what each file gave, in order. Shards do not live here."""

import hashlib
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import cv2

from cxr_pipeline.errors import ImageError
from cxr_pipeline.images.decode.pixels import Radiograph, decode_radiograph, read_file
from cxr_pipeline.images.prepare.cluster import Cluster
from cxr_pipeline.images.store.codecs import Codec, encode
from cxr_pipeline.images.store.hashing import difference_hash
from cxr_pipeline.images.store.shards import StoreForm

BATCH_FILES = 32  # a task of one worker; also what is decoded again, file by file, after a crash


@dataclass(frozen=True)
class Decoded:
    """What became of one file: the columns of `tables.StoreIndex` that it decides, and its frame if it has pixels."""

    source_bytes: int
    source_digest: str  # empty where the file could not be read
    quarantine: str | None = None
    frame: bytes | None = None  # the pixels, as the store's codec spells them
    source_height: int | None = None
    source_width: int | None = None
    source_mode: str | None = None
    bit_depth: int | None = None
    photometric: str | None = None
    transform: dict[str, int | float] | None = None  # the fields of `Letterbox`
    dhash: bytes | None = None
    mean: float | None = None
    spread: float | None = None


Decode = Callable[[Path, StoreForm], Decoded]


def decode_file(path: Path, form: StoreForm) -> Decoded:
    """Reads, digests, decodes and spells one file; one that cannot be used is returned with its reason, never raised.

    Spelling belongs here: the one process that writes the shards would hold up a machine of many cores with it.
    """
    try:
        data = read_file(path)
    except ImageError as error:
        return Decoded(0, "", error.reason)
    digest = hashlib.sha256(data).hexdigest()
    try:
        radiograph = decode_radiograph(data, size=form.size)
    except ImageError as error:
        return Decoded(len(data), digest, error.reason)
    return _measure(radiograph, form.codec, len(data), digest)


def decode_files(
    paths: Sequence[Path], *, form: StoreForm, cluster: Cluster, decode: Decode = decode_file
) -> Generator[Decoded, None, None]:
    """One `Decoded` for each of `paths`, in their order, whatever the cluster, whose machines must all see the files.

    Up to BATCH_FILES files are decoded in this process, where a crash of the decoder would end it; otherwise such a
    file comes back with the reason `decoder_crash`. Close the generator to stop early.
    """
    if len(paths) <= BATCH_FILES:
        yield from (decode(path, form) for path in paths)
        return
    call = partial(_decode_on_one_core, form=form, decode=decode)
    with closing(cluster.map(call, paths, batch_size=BATCH_FILES)) as results:
        for path, decoded in zip(paths, results, strict=True):
            yield decoded or _crashed(path)


def _decode_on_one_core(path: Path, *, form: StoreForm, decode: Decode) -> Decoded:
    """A worker is one of many on its machine: OpenCV must not start a thread per core in each."""
    cv2.setNumThreads(1)
    return decode(path, form)


def _crashed(path: Path) -> Decoded:
    try:
        data = read_file(path)
    except ImageError as error:
        return Decoded(0, "", error.reason)
    return Decoded(len(data), hashlib.sha256(data).hexdigest(), "decoder_crash")


def _measure(radiograph: Radiograph, codec: Codec, source_bytes: int, digest: str) -> Decoded:
    pixels = radiograph.pixels
    return Decoded(
        source_bytes=source_bytes,
        source_digest=digest,
        frame=encode(pixels, codec),
        source_height=radiograph.source_height,
        source_width=radiograph.source_width,
        source_mode=radiograph.source_mode,
        bit_depth=radiograph.bit_depth,
        photometric=radiograph.photometric,
        transform=asdict(radiograph.placement),
        dhash=difference_hash(radiograph.placement.content(pixels)),
        mean=float(pixels.mean()),
        spread=float(pixels.std()),
    )
