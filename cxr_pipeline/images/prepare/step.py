"""The step that keeps an image store equal to a table of images: what is new is decoded, what is unchanged is kept.

How a file is decoded does not live here (`decoding`, `pixels`), nor how shards are written and read (`parts`, `store`).

A store folder holds shards `<size>px-rules<version>-<digest>.<codec>.arrow`, for each of them its part of the index in
`parts/`, written after it, and `index.parquet`, put together from the parts at the end. So the parts are what a killed
run leaves behind and the next one goes on from, and readers see the old store until the new one is whole. Hidden files
(`.lock`, `.digests.parquet`) are no part of the store.
"""

from collections.abc import Callable, Iterator
from contextlib import closing, nullcontext
from dataclasses import dataclass, fields
from itertools import islice
from pathlib import Path

import polars as pl

from cxr_pipeline.errors import SourceNotFoundError
from cxr_pipeline.images.prepare.cluster import Cluster
from cxr_pipeline.images.prepare.decoding import BATCH_FILES, Decoded, decode_files
from cxr_pipeline.images.prepare.digests import SourceDigests
from cxr_pipeline.images.store import parts
from cxr_pipeline.images.store.shards import INDEX, StoreForm
from cxr_pipeline.storage.lake import write_table
from cxr_pipeline.storage.locks import lock_folder
from cxr_pipeline.tables.images import StoreIndex

Report = Callable[[int, int, int], object]  # images done, images in all, of the done ones in quarantine


@dataclass(frozen=True)
class PrepareSummary:
    """What a store holds after `prepare_images`, and how much of it this run had to do."""

    images: int  # rows of the index
    stored: int  # of these, with pixels
    decoded: int  # files opened for decoding in this run; the others were unchanged
    quarantined: dict[str, int]  # images by reason
    repacked: int = 0  # images moved to a new shard without decoding


def prepare_images(
    table: pl.DataFrame,
    root: Path,
    folder: Path,
    *,
    form: StoreForm,
    cluster: Cluster | None = None,
    on_progress: Report | None = None,
) -> PrepareSummary:
    """Makes the store in `folder` hold exactly the images of `table`: `image_id`, and `path` relative to `root`.

    A file is decoded again when its id, path or SHA-256 is new, or when the size or PIXEL_RULES is; only a file whose
    `stat` has changed is read to know it (`SourceDigests`). A file that cannot be used gets an index row with its
    reason. An image that is not in `table` any more leaves the index; its pixels go when most of their shard has gone.
    Another codec re-encodes the shards and decodes nothing. The result does not depend on `cluster` (none: one of this
    machine's cores, for this call).
    `on_progress` is told what there is at the start, and then once a batch.

    Raises SourceNotFoundError when none of the files exists: a disk that is not mounted must not empty the store.
    Raises StoreError when another process is writing into `folder`.
    """
    wanted = table.select("image_id", source_path="path").sort("image_id")
    _check_source(wanted, root)
    with lock_folder(folder), nullcontext(cluster) if cluster else Cluster() as processes:
        _remove_temporaries(folder)
        digests = SourceDigests(folder, root, wanted["source_path"])
        known = _unchanged(wanted, parts.read_parts(folder, form), digests, form)
        moved = known.filter(parts.needs_repacking(form))
        kept = known.filter(~parts.needs_repacking(form)).drop("part_rows")
        pending = wanted.join(known, on="image_id", how="anti", maintain_order="left")
        paths = [root.absolute() / path for path in pending["source_path"]]
        with closing(decode_files(paths, form=form, cluster=processes)) as files:
            decoded = _reported(files, known, wanted.height, on_progress) if on_progress else files
            made = list(_write_decoded(folder, pending, decoded, form))
        whole = pl.concat([kept, *parts.repack(folder, moved, form), *made]).sort("image_id")
        write_table(folder / INDEX, whole, StoreIndex)
        digests.remember(whole)
        parts.remove_unused(folder, whole)
    return _summarize(whole, decoded=pending.height, repacked=moved.height)


def _check_source(wanted: pl.DataFrame, root: Path) -> None:
    if not any((root / path).is_file() for path in wanted["source_path"]):
        raise SourceNotFoundError(
            f"None of {wanted.height} images is under {root}, expected at least one. Mount or fetch the images of this "
            "source, or correct its folder in the settings."
        )


def _remove_temporaries(folder: Path) -> None:
    for path in folder.rglob(".*.tmp"):
        path.unlink()


def _unchanged(wanted: pl.DataFrame, known: pl.DataFrame, digests: SourceDigests, form: StoreForm) -> pl.DataFrame:
    """The `known` rows whose file is wanted under the same id and path, and still has the same bytes.

    A run that was killed while it packed anew has left images in two parts: the new one has them.
    """
    candidates = known.join(wanted, on=["image_id", "source_path"], how="semi", maintain_order="left")
    now = digests.of(candidates["source_path"])
    same = candidates.join(now, on=["source_path", "source_digest"], how="semi", maintain_order="left")
    unwanted = pl.col("part_rows") - pl.len().over("part")
    return same.sort(~parts.has_codec(form), unwanted, "part").unique("image_id", keep="first", maintain_order=True)


def _reported(decoded: Iterator[Decoded], known: pl.DataFrame, total: int, report: Report) -> Iterator[Decoded]:
    """Reports at once, also where nothing is to be decoded, and then as `decoded` is used up."""
    done, quarantined = known.height, known["quarantine"].count()
    report(done, total, quarantined)

    def follow() -> Iterator[Decoded]:
        bad = quarantined
        for number, one in enumerate(decoded, start=done + 1):
            bad += one.quarantine is not None
            if number % BATCH_FILES == 0 or number == total:
                report(number, total, bad)
            yield one

    return follow()


def _write_decoded(
    folder: Path, pending: pl.DataFrame, decoded: Iterator[Decoded], form: StoreForm
) -> Iterator[pl.DataFrame]:
    """Cuts `pending` by count alone, so that a run that goes on after a kill makes the very same shards."""
    columns = [field.name for field in fields(Decoded) if field.name != "frame"]
    for files in pending.iter_slices(parts.shard_rows(form)):
        some = list(islice(decoded, files.height))
        rows = files.with_columns(pl.Series(name, [getattr(one, name) for one in some]) for name in columns)
        yield parts.write_part(folder, rows, [one.frame for one in some if one.frame is not None], form)


def _summarize(whole: pl.DataFrame, *, decoded: int, repacked: int) -> PrepareSummary:
    reasons = whole.filter(pl.col("quarantine").is_not_null()).group_by("quarantine").len().sort("quarantine")
    return PrepareSummary(
        images=whole.height,
        stored=whole.height - int(reasons["len"].sum()),
        decoded=decoded,
        quarantined=dict(zip(reasons["quarantine"], reasons["len"], strict=True)),
        repacked=repacked,
    )
