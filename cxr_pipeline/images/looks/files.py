"""Pictures of a store for people: contact sheets and histograms, as files. How they are drawn is not decided here."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from PIL import Image

from cxr_pipeline.datasets.base import Dataset, Display
from cxr_pipeline.images.looks.histograms import Measured, draw_histograms
from cxr_pipeline.images.looks.sheet import COLUMNS, ROWS, Tile, draw_sheet, encode_png
from cxr_pipeline.images.looks.thumbnails import quarantine_tiles
from cxr_pipeline.images.prepare.quarantine import count_reasons
from cxr_pipeline.images.store.shards import ImageStore
from cxr_pipeline.storage.files import write_atomically, write_text

SHOWN = COLUMNS * ROWS
PHANTOMS = Display(True, "phantoms: rendered pictures, not radiographs of people")


@dataclass(frozen=True)
class StoredSource:
    """One source's store and the folder of its originals."""

    dataset: Dataset
    index: pl.DataFrame  # StoreIndex
    store: Path
    root: Path
    is_phantom: bool

    @property
    def display(self) -> Display:
        """Whether thumbnails of these images may be shown, and by which term: phantoms always."""
        return PHANTOMS if self.is_phantom else self.dataset.thumbnails

    @property
    def title(self) -> str:
        return f"Phantoms of {self.dataset.title}" if self.is_phantom else self.dataset.title

    @property
    def stored(self) -> pl.DataFrame:
        return self.index.filter(pl.col("quarantine").is_null()).sort("image_id")


@dataclass(frozen=True)
class Looks:
    """What there is to see of one store; None where there is nothing, or nothing that may be shown."""

    display: Display
    histograms: Path | None = None
    sheet: Path | None = None
    quarantine_sheet: Path | None = None


def write_looks(source: StoredSource, folder: Path, *, on_request: bool = False) -> Looks:
    """Writes the pictures of one source into `folder`; those that there is no reason for any more are removed.

    Where its terms do not let everyone see thumbnails, the histograms are all there is, but `on_request` of someone
    who may. No picture carries ids; the same store gives the same bytes.
    """
    name = source.dataset.name
    shown = source.display.allowed or on_request
    return Looks(
        source.display,
        histograms=_write(folder / f"{name}-histograms.svg", _histograms(source)),
        sheet=_write(folder / f"{name}.png", _sheet(source) if shown else None),
        quarantine_sheet=_write(folder / f"{name}-quarantine.png", _quarantine_sheet(source) if shown else None),
    )


def _histograms(source: StoredSource) -> str | None:
    stored = source.stored
    if stored.is_empty():
        return None
    measured = Measured(
        heights=stored["source_height"].to_numpy(),
        widths=stored["source_width"].to_numpy(),
        means=stored["mean"].to_numpy(),
        spreads=stored["spread"].to_numpy(),
    )
    return draw_histograms(measured, title=f"{source.title}: {stored.height:,} stored images")


def _sheet(source: StoredSource) -> Image.Image | None:
    """Images spread evenly over the index: by patient, as ids begin with the patient in most sources."""
    ids = source.stored["image_id"]
    if ids.is_empty():
        return None
    chosen = np.unique(np.linspace(0, len(ids) - 1, SHOWN).round().astype(int))
    tiles = [Tile(pixels) for pixels in ImageStore(source.store).read_ids(ids[chosen].to_list())]
    title = f"{source.title}: {len(tiles):,} of {len(ids):,} stored images"
    return draw_sheet(tiles, title=title, notes=[_credit(source)])


def _quarantine_sheet(source: StoredSource) -> Image.Image | None:
    reasons = count_reasons(source.index)
    if not reasons:
        return None
    title = f"{source.title}: {sum(reasons.values()):,} of {source.index.height:,} files in quarantine"
    counts = ", ".join(f"{name.replace('_', ' ')} {count:,}" for name, count in reasons.items())
    return draw_sheet(quarantine_tiles(source.index, source.root, limit=SHOWN), title=title, notes=[counts])


def _credit(source: StoredSource) -> str:
    return PHANTOMS.reason.capitalize() if source.is_phantom else f"{source.dataset.citation}. {source.dataset.licence}"


def _write(path: Path, picture: Image.Image | str | None) -> Path | None:
    if picture is None:
        path.unlink(missing_ok=True)
        return None
    if isinstance(picture, str):
        write_text(path, picture)
        return path
    data = encode_png(picture)
    write_atomically(path, lambda temporary: temporary.write_bytes(data))
    return path
