"""OpenI (Indiana University): 7,470 images of 3,851 reports that experts indexed with MeSH terms. Parses, nothing more.

Demner-Fushman et al. 2016, https://doi.org/10.1093/jamia/ocv080. Reads the official XML beside PNG or DICOM files, and
Kaggle's CSV (raddar/chest-xrays-indiana-university). How either is parsed does not live here (`openi_release`).
"""

from pathlib import Path

import polars as pl

from cxr_pipeline.datasets import lookalikes
from cxr_pipeline.datasets.base import NO_LABELS, Dataset, Display, Layout, Metadata
from cxr_pipeline.datasets.files.folders import find_file, index_files, require_file, walk_files
from cxr_pipeline.datasets.openi.gaps import WITHOUT_IMAGE, count_unreported, count_views
from cxr_pipeline.datasets.openi.release import (
    PROJECTIONS,
    REPORTS,
    SECTIONS,
    VIEW_LIST,
    image_key,
    is_xml,
    read_release,
)
from cxr_pipeline.errors import SourceNotFoundError
from cxr_pipeline.pathologies import POSITIVE

COMPOUNDS = frozenset(
    {
        "Calcinosis/pleura",
        "Cardiac Shadow/enlarged",
        "Cicatrix/breast",
        "Cicatrix/cardiophrenic angle",
        "Cicatrix/costophrenic angle",
        "Cicatrix/lung",
        "Cicatrix/pleura",
        "Cicatrix/ribs",
        "Cicatrix/thorax",
        "Costophrenic Angle/blunted",
        "Costophrenic Angle/obscured",
        "Density/lung",
        "Lung/hyperdistention",
        "Lung/interstitial",
        "Markings/interstitial",
        "Mass/breast",
        "Mass/mediastinum",
        "Mass/paratracheal",
        "Opacity/lung",
        "Sulcus/blunted",
        "Sulcus/obscured",
        "Thickening/pleura",
    }
)
"""Head and qualifier that only together name what was seen. Other qualifiers say where, how much, since when."""

_XML_FOLDERS = ("ecgen-radiology", "NLMCXR_reports/ecgen-radiology", ".")
_PACKED = "NLMCXR_reports.tgz"
_SPELLED = frozenset(compound.lower() for compound in COMPOUNDS)


def find_metadata(root: Path) -> Metadata:
    """The XML reports and the lists of views that lie beside them, or Kaggle's two tables."""
    reports = _find_xml(root)
    if not reports:
        table = require_file(OPENI, [root], [f"{_XML_FOLDERS[0]}/*.xml", REPORTS])
        return Metadata({REPORTS: table, PROJECTIONS: require_file(OPENI, [root], [PROJECTIONS])})
    lists = {name: find_file([root, reports[0].parent], [name, f"{name}.gz"]) for name in (PROJECTIONS, VIEW_LIST)}
    found = {name: path for name, path in lists.items() if path}
    files = {path.name: path for path in reports} | found
    if PROJECTIONS in found:
        return Metadata(files)
    loss = f"{VIEW_LIST} tells the view of one image of each report, the others are UNKNOWN"
    if not found:
        loss = (
            "the XML does not tell frontal from lateral, so all views are UNKNOWN; put this file of Kaggle's copy, or "
            f"{VIEW_LIST}.gz of torchxrayvision, into the folder"
        )
    return Metadata(files, {PROJECTIONS: loss})


def read_images(root: Path) -> pl.LazyFrame:
    """One row per image, as `Dataset.read_images` says. A report is a study and, for all we know, a patient.

    An image has the same id in every layout (`openi/1000_IM-0003-1001`). Age, sex and official split are not published.
    The view is Kaggle's projection, else torchxrayvision's list, else unknown: file numbers and the order in a report
    are wrong for 5 and 15 % of the first images, and the DICOM headers call 198 of 327 laterals of that list frontal.
    """
    uid = pl.format("openi/{}", "uid")
    images = read_release(find_metadata(root).files).images.lazy()
    return images.select(
        image_id=pl.format("openi/{}", "key"),
        patient_id=uid,
        study_id=uid,
        dataset=pl.lit("openi"),
        view=pl.col("view").fill_null("UNKNOWN"),
        path=pl.col("key"),
        age_years=pl.lit(None, pl.Float32),
        sex=pl.lit(None, pl.String),
        official_split=pl.lit(None, pl.String),
    )


def read_findings(root: Path) -> pl.LazyFrame:
    """The terms of the report (MeSH `major`, chosen by people) for each of its images; what is absent is not said.

    A term `head/qualifier/...` is given by its compounds (COMPOUNDS), or where it has none by its head alone:
    `Mass/breast/right` by `Mass/breast`, `Pulmonary Atelectasis/base/left` by `Pulmonary Atelectasis`.
    """
    release = read_release(find_metadata(root).files)
    findings = release.terms.join(_spell_out(release.terms["term"]), on="term").select("uid", "finding").unique()
    return (
        release.images.lazy()
        .join(findings.lazy(), on="uid", how="left", maintain_order="left")
        .select(
            image_id=pl.format("openi/{}", "key"),
            finding=pl.col("finding").fill_null(NO_LABELS),
            value=pl.lit(POSITIVE, pl.Int8),
            reader=pl.lit(""),
        )
    )


def read_reports(root: Path) -> pl.LazyFrame:
    """The sections that are not empty, of every report, with or without images. Words taken out are `XXXX`."""
    texts = read_release(find_metadata(root).files).texts.lazy()
    sections = texts.unpivot(SECTIONS, index="uid", variable_name="section")
    return sections.filter(pl.col("value") != "").select(
        study_id=pl.format("openi/{}", "uid"), section="section", text="value"
    )


def find_pixels(root: Path) -> dict[str, Path]:
    """`1000_IM-0003-1001` -> path, of PNG before DICOM files, in any folder and under any layout's name."""
    return index_files([path for suffix in OPENI.suffixes for path in walk_files(root, suffix)], _keys)


def find_gaps(root: Path) -> list[str]:
    """Images of no report, reports without an image, and images without a view or views of no image."""
    files = find_metadata(root).files
    release = read_release(files)
    reports = REPORTS if REPORTS in files else "the XML reports"
    lines = count_unreported(release, reports, published=0 if REPORTS in files else WITHOUT_IMAGE)
    return lines if REPORTS in files or PROJECTIONS not in files else lines + count_views(release, files[PROJECTIONS])


def describe_layout(root: Path) -> Layout:
    """Official XML or Kaggle's CSV. Where both are there, the XML is read, and Kaggle's projections with it."""
    files = find_metadata(root).files
    if REPORTS in files:
        return Layout("Kaggle CSV", f"{REPORTS} and {PROJECTIONS} are in {root}, XML reports are not")
    folders = {path.parent for role, path in files.items() if is_xml(role)}
    views = " and ".join(name for name in (PROJECTIONS, VIEW_LIST) if name in files) or "nothing"
    return Layout("official XML", f"XML reports are in {folders.pop()}; {views} tells their views")


def _find_xml(root: Path) -> list[Path]:
    """The reports by number. Hidden files are what macOS archives add."""
    for folder in _XML_FOLDERS:
        reports = [path for path in (root / folder).glob("*.[xX][mM][lL]") if not path.name.startswith(".")]
        if reports:
            return sorted(reports, key=lambda path: (len(path.name), path.name))
    if (root / _PACKED).is_file() and not (root / REPORTS).is_file():
        raise SourceNotFoundError(
            f"{OPENI.title}: {root} has {_PACKED} still packed. Expected the folder ecgen-radiology: unpack it with "
            f"`tar -xzf {_PACKED}`."
        )
    return []


def _spell_out(terms: pl.Series) -> pl.DataFrame:
    """`term, finding`: one row per distinct term and finding."""
    distinct = terms.unique().to_list()
    findings = pl.Series([_name_findings(term) for term in distinct], dtype=pl.List(pl.String))
    return pl.DataFrame({"term": pl.Series(distinct, dtype=pl.String), "finding": findings}).explode("finding")


def _name_findings(term: str) -> list[str]:
    head, *qualifiers = [" ".join(part.split()) for part in term.split("/")]
    pairs = [f"{head}/{qualifier}" for qualifier in qualifiers]
    return [pair for pair in pairs if pair.lower() in _SPELLED] or [head]


def _keys(path: str) -> list[str]:
    key = image_key(path.rpartition("/")[2])
    return [key] if key else []


OPENI = Dataset(
    name="openi",
    title="OpenI (Indiana University)",
    home_page="https://openi.nlm.nih.gov/faq#collection",
    citation="Demner-Fushman et al. 2016, https://doi.org/10.1093/jamia/ocv080",
    licence="CC BY-NC-ND 4.0",
    access="open",
    commercial_use=False,
    redistribution=False,
    thumbnails=Display(True, "CC BY-NC-ND 4.0: unchanged pictures may be shown with credit, not commercially"),
    unstated_is="negative",
    read_images=read_images,
    read_findings=read_findings,
    find_metadata=find_metadata,
    find_pixels=find_pixels,
    describe_layout=describe_layout,
    find_gaps=find_gaps,
    lookalikes=lookalikes.OPENI,
    suffixes=(".png", ".dcm"),
    read_reports=read_reports,
    expected={"images": 7_470, "patients": 3_851},
)
