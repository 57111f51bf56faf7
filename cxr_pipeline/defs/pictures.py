"""Shows pictures in an asset page: Markdown with the picture itself, as Dagster has no other way. Draws none."""

import base64
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg
from PIL import Image

from cxr_pipeline.images.looks.sheet import encode_preview

if TYPE_CHECKING:
    from cxr_pipeline.images.looks.files import Looks  # which loads OpenCV


def show_picture(title: str, picture: str | bytes) -> dg.MarkdownMetadataValue:
    """`picture`, the text of an SVG or the bytes of a JPEG, as metadata. Dagster shows Markdown below 1,000 characters
    in the page, and longer behind a button.

    In base64: a blank, quote or bracket would end the link, and the page would show its source.
    """
    kind, data = ("svg+xml", picture.encode()) if isinstance(picture, str) else ("jpeg", picture)
    return dg.MetadataValue.md(f"![{title}](data:image/{kind};base64,{base64.b64encode(data).decode()})")


def looks_metadata(looks: "Looks | None", dataset: str) -> dict[str, dg.MetadataValue]:
    """Contact sheets and histograms as metadata; where thumbnails may not be shown, the term that says so."""
    if looks is None or looks.histograms is None:
        return {}
    shown: dict[str, dg.MetadataValue] = {"histograms": show_picture("histograms", looks.histograms.read_text())}
    if not looks.display.allowed:
        withheld = f"Not shown here: {looks.display.reason}. `cxr images sheet {dataset}` draws it for those who may."
        return {**shown, "contact_sheet": dg.MetadataValue.md(withheld)}
    for name, path in {"contact_sheet": looks.sheet, "quarantine_sheet": looks.quarantine_sheet}.items():
        if path:
            shown[name] = show_picture(name.replace("_", " "), _preview(path))
    return {**shown, "pictures": dg.MetadataValue.path(looks.histograms.parent.resolve())}


def _preview(path: Path) -> bytes:
    with Image.open(path) as sheet:
        return encode_preview(sheet)
