"""Parses both layouts of OpenI into the same two tables. What terms and views mean does not live here (`openi`)."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from xml.parsers import expat

import polars as pl

from cxr_pipeline.datasets.files.strict_csv import read_csv, recode, require_match
from cxr_pipeline.errors import SourceFormatError

SECTIONS = ("indication", "comparison", "findings", "impression")
REPORTS, PROJECTIONS, VIEW_LIST = "indiana_reports.csv", "indiana_projections.csv", "nlmcxr_tsne_pa.csv"
_PROJECTION_VIEWS = {"Frontal": "PA", "Lateral": "LATERAL"}  # nine of ten frontal DICOM headers say PA
_LISTED_VIEWS = {"PA": "PA", "L": "LATERAL"}
# `CXR12_IM-0001-1001` in the XML, `12_IM-0001-1001.dcm.png` at Kaggle; patient 1 alone is `CXR1_1_IM-0001-3001`.
_IMAGE_NAME = r"^(?:CXR)?(\d+)_(?:\d+_)?(IM-\d+(?:-\d+)+)(?:\.dcm)?(?:\.png)?$"
_IMAGE_FILE = re.compile(_IMAGE_NAME, re.IGNORECASE)


@dataclass(frozen=True)
class Release:
    """One row per image, per MeSH term of a report, and per report; all cells String, missing text is ""."""

    images: pl.DataFrame  # uid, key, view (null where no list tells it)
    terms: pl.DataFrame  # uid, term
    texts: pl.DataFrame  # uid, and a column for each of SECTIONS


def read_release(files: dict[str, Path]) -> Release:
    """What the files of `openi.find_metadata` hold; raises SourceFormatError when one is not as published."""
    return _read_kaggle(files) if REPORTS in files else _read_official(files)


def is_xml(role: str) -> bool:
    """Whether a metadata file is one of the XML reports, by its role."""
    return role.lower().endswith(".xml")


def image_key(file_name: str) -> str | None:
    """`12_IM-0001-1001` for each name that the layouts give that image; None for other files."""
    match = _IMAGE_FILE.match(file_name)
    return f"{match[1]}_{match[2].upper()}" if match else None


def _read_official(files: dict[str, Path]) -> Release:
    paths = [path for role, path in files.items() if is_xml(role)]
    reports = [_parse_report(path) for path in paths]
    names = [(report.uid, name) for report in reports for name in report.image_names]
    terms = [(report.uid, term) for report in reports for term in report.terms]
    images = _identify(paths[0].parent, _two_columns(names, "name"))
    uids = [report.uid for report in reports]
    texts = {section: [report.sections[section] for report in reports] for section in SECTIONS}
    return Release(
        images.join(_read_views(files), on="key", how="left", maintain_order="left"),
        _two_columns(terms, "term"),
        pl.DataFrame({"uid": uids, **texts}),
    )


def _two_columns(rows: Sequence[tuple[str, str]], name: str) -> pl.DataFrame:
    columns = {"uid": [uid for uid, _ in rows], name: [value for _, value in rows]}
    return pl.DataFrame(columns, schema={"uid": pl.String, name: pl.String})


def _read_kaggle(files: dict[str, Path]) -> Release:
    path = files[REPORTS]
    rows = read_csv(path, ("uid", "MeSH", *SECTIONS))
    require_match(path, rows, "uid", r"^\d+$")
    if rows["uid"].is_duplicated().any():
        raise SourceFormatError(f"{path} holds a uid more than once: expected one row per report. Get the file again.")
    terms = rows.select("uid", term=pl.col("MeSH").str.split(";")).explode("term")
    stated = terms.filter(~pl.col("term").str.strip_chars().is_in(["", "nan"]))
    return Release(read_projections(files[PROJECTIONS]), stated, rows.drop("MeSH"))


def _read_views(files: dict[str, Path]) -> pl.DataFrame:
    """`key, view` from Kaggle's projections, else from torchxrayvision's list, where they are there."""
    lists = [pl.DataFrame(schema={"key": pl.String, "view": pl.String})]
    if PROJECTIONS in files:
        lists.append(read_projections(files[PROJECTIONS]).select("key", "view"))
    if VIEW_LIST in files:
        path = files[VIEW_LIST]
        rows = read_csv(path, ("imageid", "tsne-view"))
        named = rows.select(name="imageid", view=recode(path, rows, "tsne-view", _LISTED_VIEWS))
        lists.append(_identify(path, named).select("key", "view"))
    return pl.concat(lists).unique("key", keep="first", maintain_order=True)


def read_projections(path: Path) -> pl.DataFrame:
    """`uid, key, view` of each row of Kaggle's projections."""
    rows = read_csv(path, ("uid", "filename", "projection"))
    view = recode(path, rows, "projection", _PROJECTION_VIEWS)
    return _identify(path, rows.select("uid", name="filename", view=view))


def _identify(path: Path, images: pl.DataFrame) -> pl.DataFrame:
    """`images` with `key` for their `name`; raises SourceFormatError for a name that is none of its report's."""
    require_match(path, images, "name", _IMAGE_NAME)
    uid = pl.col("name").str.extract(_IMAGE_NAME, 1)
    if "uid" in images.columns:
        strangers = images.filter(uid != pl.col("uid")).height
        if strangers:
            raise SourceFormatError(
                f"{path}: {strangers} images are named after another report than theirs: expected the number before "
                "the underscore to be the uid. Get the reports again."
            )
    return images.with_columns(key=pl.format("{}_{}", uid, pl.col("name").str.extract(_IMAGE_NAME, 2))).drop("name")


@dataclass
class _Report:
    """One report as published: `uid` is the number in `CXR1000`; a section that is empty holds ""."""

    uid: str = ""
    image_names: list[str] = field(default_factory=list)
    terms: list[str] = field(default_factory=list)  # MeSH `major`: chosen by people, not by a program (`automatic`)
    sections: dict[str, str] = field(default_factory=dict)


def _parse_report(path: Path) -> _Report:
    """Walks one file with expat, which is in the standard library and asks Python only about the wanted elements.

    A document type is refused: entities are declared there, and a billion of them grow from a few lines.
    """
    reader = _ReportReader()
    reader.parser.StartDoctypeDeclHandler = lambda *_: _refuse(path, "declares a document type, which no report has")
    try:
        reader.parser.Parse(path.read_bytes(), True)
    except expat.ExpatError as error:
        raise SourceFormatError(f"{path} is not well-formed XML ({error}). Get the reports again.") from error
    report = reader.report
    if report.uid != path.stem or set(report.sections) != set(SECTIONS):
        _refuse(path, f"has the id {report.uid!r} and the sections {', '.join(report.sections) or 'none'}")
    return report


def _refuse(path: Path, found: str) -> None:
    raise SourceFormatError(
        f"{path} {found}. Expected a report of the release: the number in `uId` names the file, and its sections "
        f"are {', '.join(SECTIONS)}. Get NLMCXR_reports.tgz again."
    )


class _ReportReader:
    """Expat's callbacks. Text and ends of elements are only listened to inside a wanted element: it halves the time."""

    def __init__(self) -> None:
        self.report = _Report()
        self.parser = expat.ParserCreate()
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self._start
        self._pieces: list[str] = []
        self._section = ""

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "parentImage":
            self.report.image_names.append(attributes.get("id", ""))
        elif name == "uId":
            self.report.uid = attributes.get("id", "").removeprefix("CXR")
        elif name in ("major", "AbstractText"):
            self._section = attributes.get("Label", "").lower()
            self._pieces = []
            self.parser.CharacterDataHandler = self._pieces.append
            self.parser.EndElementHandler = self._end

    def _end(self, name: str) -> None:
        text = "".join(self._pieces).strip()
        if name == "AbstractText":
            self.report.sections[self._section] = text
        elif text:
            self.report.terms.append(text)
        self.parser.CharacterDataHandler = None
        self.parser.EndElementHandler = None
