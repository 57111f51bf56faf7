"""Phantoms in the layout of OpenI: one XML report per patient with MeSH terms, colour PNG, and Kaggle's projections."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

import numpy as np

from cxr_pipeline.phantom.cohort import Patient, Study
from cxr_pipeline.phantom.layout import Layout, csv_text, write_image
from cxr_pipeline.phantom.render import STYLES, View, render
from cxr_pipeline.phantom.reports import write_report
from cxr_pipeline.storage.files import write_text

XML_FOLDER, PNG_FOLDER, PROJECTIONS = "ecgen-radiology", "NLMCXR_png", "indiana_projections.csv"
TERMS = {
    "Atelectasis": ("Pulmonary Atelectasis/base/left", "Pulmonary Atelectasis/lingula"),
    "Cardiomegaly": ("Cardiomegaly/mild", "Cardiomegaly"),
    "Consolidation": ("Consolidation/lung/lower lobe/right",),
    "Edema": ("Pulmonary Edema/interstitial", "Pulmonary Edema"),
    "Effusion": ("Pleural Effusion/bilateral/small", "Pleural Effusion/left"),
    "Emphysema": ("Pulmonary Emphysema", "Emphysema/upper lobe/bilateral"),
    "Fibrosis": ("Pulmonary Fibrosis/diffuse",),
    "Hernia": ("Hernia, Hiatal/large", "Hernia, Hiatal"),
    "Infiltration": ("Infiltrate/lung/middle lobe/right",),
    "Mass": ("Mass/lung/upper lobe/right/large",),
    "Nodule": ("Nodule/lung/upper lobe/left/small",),
    "Pleural_Thickening": ("Thickening/pleura/apex/bilateral",),
    "Pneumonia": ("Pneumonia/lower lobe/left",),
    "Pneumothorax": ("Pneumothorax/right/small",),
}
"""Class -> terms of the form that the indexers give it: head, then place, side, degree."""

UNRELATED = {
    "Calcified Granuloma/lung/upper lobe/right": 0.08,
    "Spondylosis/thoracic vertebrae": 0.08,
    "Technical Quality of Image Unsatisfactory ": 0.02,  # with the blank: as published
}
"""Term -> share; nothing of them is drawn. The granuloma leaves open whether there is a Nodule."""

UNINDEXED_SHARE = 0.03  # reports that say `No Indexing` instead
SECTIONS = ("COMPARISON", "INDICATION", "FINDINGS", "IMPRESSION")


@dataclass(frozen=True)
class OpeniRow:
    """One image as Kaggle's `indiana_projections.csv` lists it."""

    uid: int
    file_name: str
    projection: str


def _count_images(patient: Patient) -> int:
    return 1 + patient.studies[0].has_lateral


def _write_patient(patient: Patient, root: Path, size: int) -> list[OpeniRow]:
    """The first study alone: OpenI has one report of each patient."""
    study, uid = patient.studies[0], patient.index + 1
    views: list[View] = [study.view, "LATERAL"] if study.has_lateral else [study.view]
    names = [f"{uid}_IM-{patient.index % 9999:04d}-{number}001" for number, _ in enumerate(views, start=1)]
    for number, (name, view) in enumerate(zip(names, views, strict=True), start=1):
        rng = np.random.default_rng([study.seed, 1 + number])
        phantom = render(rng, study.findings, size=size, style=STYLES["openi"], view=view, thorax=patient.thorax)
        write_image(root / PNG_FOLDER / f"CXR{name}.png", np.dstack([phantom.pixels] * 3))
    (root / XML_FOLDER).mkdir(exist_ok=True)
    (root / XML_FOLDER / f"{uid}.xml").write_text(_xml(uid, names, study), encoding="utf-8")
    projections = ("Lateral" if view == "LATERAL" else "Frontal" for view in views)
    return [OpeniRow(uid, f"{name}.dcm.png", projection) for name, projection in zip(names, projections, strict=True)]


def index_study(rng: np.random.Generator, findings: Collection[str]) -> list[str]:
    """The `major` terms of one report, as an indexer would choose them."""
    if rng.random() < UNINDEXED_SHARE:
        return ["No Indexing"]
    terms = [TERMS[name][rng.integers(len(TERMS[name]))] for name in findings]
    terms += [term for term, share in UNRELATED.items() if rng.random() < share]
    return terms or ["normal"]


def _xml(uid: int, names: Sequence[str], study: Study) -> str:
    rng = np.random.default_rng([study.seed, 1])
    texts = write_report(rng, study.findings)
    abstract = (f'<AbstractText Label="{name}">{escape(texts[name.lower()])}</AbstractText>' for name in SECTIONS)
    majors = (f"<major>{escape(term)}</major>" for term in index_study(rng, study.findings))
    images = (
        f'<parentImage id="CXR{name}"><figureId>F{number}</figureId><caption>Phantom</caption></parentImage>'
        for number, name in enumerate(names, start=1)
    )
    return f"""<?xml version="1.0" encoding="utf-8"?>
<eCitation>
   <uId id="CXR{uid}"/>
   <MedlineCitation><Article><Abstract>
      {" ".join(abstract)}
   </Abstract></Article></MedlineCitation>
   <MeSH>{"".join(majors)}</MeSH>
   {" ".join(images)}
</eCitation>
"""


def _write_tables(rows: Sequence[OpeniRow], root: Path) -> None:
    fields = [(str(row.uid), row.file_name, row.projection) for row in rows]
    write_text(root / PROJECTIONS, csv_text("uid,filename,projection", fields))


LAYOUT = Layout(
    count_images=_count_images,
    write_patient=_write_patient,
    write_tables=_write_tables,
    entries=(XML_FOLDER, PNG_FOLDER, PROJECTIONS),
)
