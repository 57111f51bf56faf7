"""The evaluation as one self-contained page and as Markdown for the Dagster UI. Nothing is measured here."""

import base64
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined

from cxr_pipeline.errors import ImageError
from cxr_pipeline.evaluation.curves import precision_recall_curves, roc_curves
from cxr_pipeline.evaluation.explain import INDEX
from cxr_pipeline.evaluation.facts import CheckpointFacts
from cxr_pipeline.evaluation.figures import curve_panels, training_charts
from cxr_pipeline.evaluation.scored import SPLIT_ORDER, ScoredImages, read_scored
from cxr_pipeline.evaluation.summary import count_classes, count_sources, has_nih_test, headline, read_tables
from cxr_pipeline.storage.files import file_digest, write_text
from cxr_pipeline.training.data.batches import Cohort, read_cohort

_PICTURE_HEIGHT = 224  # pixels; a page of 84 pictures stays near 2 MB


@dataclass(frozen=True)
class ReportInputs:
    """The files that a report is made from."""

    cohort: Path
    predictions: Path
    metrics: Path
    checkpoint: Path  # folder
    events: Path  # events.jsonl of the training job
    explanations: Path  # folder


def write_report(inputs: ReportInputs, folder: Path) -> None:
    """Writes `report.html` and `report.md` into `folder`; the same inputs give the same bytes.

    The first line says so when any image of the cohort is a rendered phantom. No patient or image id is shown. Raises
    TableError or CheckpointError when an input is absent or does not fit; missing events or pictures leave gaps.
    """
    view = _view(inputs)
    write_text(folder / "report.html", _template("report.html.j2", autoescape=True).render(view))
    write_text(folder / "report.md", _template("report.md.j2", autoescape=False).render(view))


def _view(inputs: ReportInputs) -> dict[str, Any]:
    """Everything that the templates name."""
    cohort, facts = read_cohort(inputs.cohort), CheckpointFacts.read(inputs.checkpoint)
    scored = read_scored(inputs.cohort, inputs.predictions)
    tables = read_tables(inputs.metrics, trained_on=facts.sources)
    return {
        "facts": facts,
        "phantom_sources": sorted(set(cohort.datasets[cohort.is_phantom])),
        "cohort_digest": file_digest(inputs.cohort),
        "has_nih_test": has_nih_test(inputs.cohort),
        "headline": headline(tables),
        "tables": tables,
        "splits": SPLIT_ORDER,
        "charts": training_charts(_epochs(inputs.events)),
        "pictures": _pictures(inputs.explanations),
        **_curves(scored),
        **_counts(cohort),
    }


def _curves(scored: ScoredImages) -> dict[str, Any]:
    """Per source of the test set: pooled curves would mix the hospitals."""
    parts = {source: scored.select("test", source) for source in scored.source_names("test")}
    return {
        "curve_sources": list(parts),
        "roc": curve_panels({source: roc_curves(part) for source, part in parts.items()}),
        "precision_recall": curve_panels({source: precision_recall_curves(part) for source, part in parts.items()}),
    }


def _counts(cohort: Cohort) -> dict[str, Any]:
    return {"source_counts": count_sources(cohort), "class_counts": count_classes(cohort)}


def _epochs(events: Path) -> list[dict[str, Any]]:
    if not events.is_file():
        return []
    parsed = [json.loads(line) for line in events.read_text(encoding="utf-8").splitlines() if line]
    return [event for event in parsed if event["event"] == "epoch"]


def _pictures(folder: Path) -> list[dict[str, Any]]:
    """What captions need of each explanation, and its picture as a data URI."""
    if not (folder / INDEX).is_file():
        return []
    entries = json.loads((folder / INDEX).read_text(encoding="utf-8"))
    return [
        {
            "name": entry["pathology"].replace("_", " "),
            "kind": entry["kind"].replace("_", " "),
            "probability": f"{entry['probability']:.3f}",
            "source": entry["source"],
            "is_phantom": entry["is_phantom"],
            "uri": _data_uri(folder / entry["file"]),
        }
        for entry in entries
    ]


def _data_uri(picture: Path) -> str:
    """A smaller JPEG of the PNG."""
    pixels = cv2.imdecode(np.frombuffer(picture.read_bytes(), dtype=np.uint8), cv2.IMREAD_COLOR)
    if pixels is None:
        raise ImageError("unreadable", f"{picture} is not a readable PNG: materialize evaluation/explanations again.")
    scale = min(1.0, _PICTURE_HEIGHT / pixels.shape[0])
    small = cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    _, encoded = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 88])
    return "data:image/jpeg;base64," + base64.b64encode(encoded.tobytes()).decode()


def _template(name: str, *, autoescape: bool) -> Any:
    environment = Environment(
        loader=PackageLoader("cxr_pipeline.evaluation"),
        autoescape=autoescape,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["cell"] = _markdown_cell
    return environment.get_template(name)


def _markdown_cell(text: object) -> str:
    """Text that can break neither a Markdown table nor the page."""
    return str(text).replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")
