"""Writes tiny OpenI collections in both layouts, and unpacks the published reports where they are installed."""

import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from cxr_pipeline_tests.datasets.realdata import published_file
from cxr_pipeline_tests.datasets.sources import write_lines

TERMS = ("Cardiomegaly/mild", "Pulmonary Atelectasis/base/left")
TEXTS = {
    "COMPARISON": "None.",
    "INDICATION": "",
    "FINDINGS": "The heart is large.",
    "IMPRESSION": "Big < small & XXXX.",
}
IMAGES = ("CXR12_IM-0003-1001", "CXR12_IM-0003-2001")


def published_openi(folder: Path) -> Path:
    """`folder` with the 3,955 published XML reports, without images."""
    with tarfile.open(published_file("NLMCXR_reports.tgz")) as archive:
        archive.extractall(folder, filter="data")
    return folder


def xml_text(
    uid: int = 12,
    *,
    terms: Sequence[str] = TERMS,
    images: Sequence[str] = IMAGES,
    texts: Mapping[str, str] = TEXTS,
    prolog: str = "",
) -> str:
    """A report as published, as far as it is read; the automatic terms are there to be left alone."""
    escaped = {name: text.replace("&", "&amp;").replace("<", "&lt;") for name, text in texts.items()}
    abstract = "".join(f'<AbstractText Label="{name}">{text}</AbstractText>' for name, text in escaped.items())
    major = "".join(f"<major>{term}</major>" for term in terms)
    parents = "".join(f'<parentImage id="{name}"><caption>PA and lateral</caption></parentImage>' for name in images)
    return (
        f'<?xml version="1.0" encoding="utf-8"?>{prolog}<eCitation><uId id="CXR{uid}"/><MedlineCitation><Article>'
        f"<Abstract>{abstract}</Abstract></Article></MedlineCitation>"
        f"<MeSH>{major}<automatic>edema</automatic></MeSH>{parents}</eCitation>"
    )


def write_xml(root: Path, text: str | None = None, *, name: str = "12.xml", folder: str = "ecgen-radiology") -> Path:
    """One report below `root`; returns `root`."""
    write_lines(root / folder / name, [text or xml_text()])
    return root


def write_projections(root: Path, rows: Sequence[str]) -> Path:
    write_lines(root / "indiana_projections.csv", ["uid,filename,projection", *rows])
    return root


def write_kaggle(root: Path, reports: Sequence[str], projections: Sequence[str]) -> Path:
    """Kaggle's two tables; returns `root`."""
    header = "uid,MeSH,Problems,image,indication,comparison,findings,impression"
    write_lines(root / "indiana_reports.csv", [header, *reports])
    return write_projections(root, projections)
