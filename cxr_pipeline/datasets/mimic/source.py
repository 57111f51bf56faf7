"""MIMIC-CXR-JPG: 377,110 images of 65,379 patients of one Boston hospital. Parses, nothing more.

Johnson et al. 2019, https://arxiv.org/abs/1901.07042. Reads releases 2.0.0 and 2.1.0, plain or gzipped; the file names
say 2.0.0 in both. What the label files say is read in `mimic_labels.py`.
"""

import re
from collections.abc import Mapping
from pathlib import Path

import polars as pl

from cxr_pipeline.datasets import lookalikes
from cxr_pipeline.datasets.base import Dataset, Display, Layout, Metadata
from cxr_pipeline.datasets.files.folders import as_published, find_file, index_files, require_file, walk_pictures
from cxr_pipeline.datasets.files.strict_csv import read_csv, recode, require_match
from cxr_pipeline.datasets.mimic.labels import (
    STUDIES,
    UNLABELLED,
    count_gaps,
    count_strange_images,
    count_untested,
    label_images,
    label_studies,
    name_labeller,
)
from cxr_pipeline.datasets.mimic.patients import describe_people
from cxr_pipeline.errors import SourceFormatError

_METADATA = "mimic-cxr-2.0.0-metadata.csv"
_SPLIT = "mimic-cxr-2.0.0-split.csv"
_LABELER = "mimic-cxr-2.0.0-chexpert.csv"
_NEGBIO = "mimic-cxr-2.0.0-negbio.csv"  # a second reading of the reports; counts where the first is not there
_EXPERTS = "mimic-cxr-2.1.0-test-set-labeled.csv"
_PATIENTS = "patients.csv"
_CXR_LT = {  # edition, the later one first -> its label files, together one row per image
    "cxr-lt-2024": ("train_labeled.csv", "development_labeled_task1.csv", "test_labeled_task1.csv"),
    "cxr-lt-2023": ("train.csv", "development.csv", "test.csv"),
}
_LOST_CLASSES = (
    "the seven classes that it adds stay unknown (https://physionet.org/content/cxr-lt-iccv-workshop-cvamd/)"
)
_LOST_LABELER = "the labels are those of NegBio, which are there instead: labelled_by says so"
_LOST_SOME = "the seven classes that CXR-LT adds stay unknown for the images of this file alone"
_LOST = {
    _EXPERTS: "the official test set keeps the word of the text labeler (release 2.1.0 has the file)",
    _PATIENTS: "age and sex are unknown (https://physionet.org/content/mimiciv/, folder hosp)",
}
_COLUMNS = ("dicom_id", "subject_id", "study_id", "ViewPosition", "StudyDate")
_IMAGE_ID = pl.format("mimic/{}", "dicom_id").alias("image_id")
_SPLITS = {"train": "train", "validate": "val", "test": "test"}
# LLD and RLD: lying on the left or right side; AXIAL: tilted. All are seen from the front or from behind.
_FRONTAL = r"^(AP|PA)(?: (?:LLD|RLD|AXIAL))?$"
_LATERAL = r"^(?:LATERAL|XTABLE LATERAL|LL|RL)$"
_DICOM_ID = r"[0-9a-f]{8}(?:-[0-9a-f]{8}){4}"
_PIXEL_PATH = re.compile(rf"(?:.*/)?(p\d\d/p\d{{8}}/s\d{{8}}/{_DICOM_ID}\.jpg)")


def find_metadata(root: Path) -> Metadata:
    """Three required tables, the last of them the text labeler's or NegBio's. Optional are the experts' labels,
    CXR-LT's, and the patients of MIMIC-IV.

    They lie in the root or in the release's own folder below it (`2.1.0`, `mimic-cxr-jpg/2.1.0`). The last two are
    collections of their own: put or link into the root `cxr-lt-2024` and `hosp`, or what holds them.
    """
    homes = _folders(root, "mimic-cxr-jpg*", "2.*", "mimic-cxr-jpg*/2.*")
    metadata = require_file(MIMIC, homes, _spellings(_METADATA))
    home = [metadata.parent]
    split = require_file(MIMIC, home, _spellings(_SPLIT))
    labels = require_file(MIMIC, home, [*_spellings(_LABELER), *_spellings(_NEGBIO)])
    labeler = _NEGBIO if "negbio" in labels.name.lower() else _LABELER
    optional = {
        _EXPERTS: find_file(home, _spellings(_EXPERTS)),
        _PATIENTS: find_file(_folders(root, "hosp", "mimic*iv*/hosp", "mimic*iv*/*/hosp"), _spellings(_PATIENTS)),
        **_find_cxr_lt(root),
    }
    found = {name: path for name, path in optional.items() if path}
    is_partial = any(name.startswith("cxr-lt") for name in found)
    lost_classes = _LOST_SOME if is_partial else _LOST_CLASSES
    lost = {name: _LOST.get(name, lost_classes) for name in optional if name not in found}
    lost |= {_LABELER: _LOST_LABELER} if labeler == _NEGBIO else {}
    return Metadata({_METADATA: metadata, _SPLIT: split, labeler: labels, **found}, lost)


def read_images(root: Path) -> pl.LazyFrame:
    """One row per image, as `Dataset.read_images` says; age and sex only where MIMIC-IV's patients are at hand."""
    files = find_metadata(root).files
    return _describe_images(files, _read_rows(files[_METADATA])).lazy()


def read_findings(root: Path) -> pl.LazyFrame:
    """One row per filled cell of the label files, and `(no labels)` for an image whose study has none.

    `reader` tells the experts (`expert`), CXR-LT and NegBio (`negbio`) from the text labeler (empty): one of them
    speaks of each cell.
    """
    files = find_metadata(root).files
    rows = _read_rows(files[_METADATA])
    by_study, by_image = _read_labels(files, rows)
    said = [_lengthen(rows, by_study), _lengthen(rows, by_image.with_columns(reader=pl.lit("CXR-LT")))]
    return pl.concat(said).lazy().select("image_id", "finding", "value", "reader")


def read_wide(root: Path) -> pl.LazyFrame:
    """Images and findings in one table, as `Dataset.read_wide` says."""
    files = find_metadata(root).files
    rows = _read_rows(files[_METADATA])
    by_study, by_image = _read_labels(files, rows)
    return pl.concat([_describe_images(files, rows), by_study.drop("reader"), by_image], how="horizontal").lazy()


def find_pixels(root: Path) -> dict[str, Path]:
    """`files/p10/p10000032/s50414267/<dicom_id>.jpg` -> path, whatever lies above `p10`."""
    return index_files(walk_pictures(root, ".jpg"), _keys)


def describe_layout(root: Path) -> Layout:
    """The release, told by the experts' labels, and the optional collections beside it."""
    metadata = find_metadata(root)
    release = "2.0.0" if _EXPERTS in metadata.missing else "2.1.0"
    beside = [name for name in metadata.files if name == _PATIENTS or name.startswith("cxr-lt")]
    reason = f"{_EXPERTS} is {'not ' if release == '2.0.0' else ''}in {metadata.files[_METADATA].parent}"
    labels = ", labels of NegBio" if _NEGBIO in metadata.files else ""
    return Layout(f"release {release}{labels}", "; ".join([reason, *(f"{name} is there" for name in beside)]))


def find_gaps(root: Path) -> list[str]:
    """Studies without a row in the label file, and rows of no study or image."""
    files = find_metadata(root).files
    rows = _read_rows(files[_METADATA])
    lines = count_gaps(rows["study_id"], _labeler_of(files), files.get(_EXPERTS))
    if _EXPERTS in files:
        parts = rows.select("study_id", official_split=_official_split(files[_SPLIT], rows["dicom_id"]))
        lines += count_untested(parts, files[_EXPERTS])
    return lines + count_strange_images(rows["dicom_id"], _cxr_lt_of(files))


def _keys(path: str) -> list[str]:
    match = _PIXEL_PATH.fullmatch(as_published(path, ".jpg"))
    return [f"files/{match[1]}"] if match else []


def _find_cxr_lt(root: Path) -> dict[str, Path | None]:
    """The label files of the later edition that is there, by edition and name; both name the same images."""
    for edition, names in _CXR_LT.items():
        folders = _folders(root, edition, f"cxr-lt-*/{edition}", f"cxr-lt-*/*/{edition}")[1:]
        found = {f"{edition}/{name}": find_file(folders, _spellings(name)) for name in names}
        if any(found.values()):
            return found
    return {next(iter(_CXR_LT)): None}


def _folders(root: Path, *patterns: str) -> list[Path]:
    """`root` and the folders below it that match, pattern by pattern, later releases first."""
    found = (path for pattern in patterns for path in sorted(root.glob(pattern), reverse=True))
    return [root, *(path for path in found if path.is_dir())]


def _spellings(name: str) -> tuple[str, str]:
    return f"{name}.gz", name


def _read_rows(path: Path) -> pl.DataFrame:
    """One row per image, in published order."""
    rows = read_csv(path, _COLUMNS)
    require_match(path, rows, "dicom_id", rf"^{_DICOM_ID}$")
    require_match(path, rows, "subject_id", r"^\d{8}$")
    require_match(path, rows, "study_id", r"^\d{8}$")
    require_match(path, rows, "StudyDate", r"^\d{8}$")
    return rows


def _read_labels(files: Mapping[str, Path], rows: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """What is said of each of `rows` with its study (and by whom), and by itself: one Int8 column per finding."""
    reader = "negbio" if _NEGBIO in files else ""
    by_study = label_studies(rows["study_id"], _labeler_of(files), files.get(_EXPERTS), reader=reader)
    return by_study, label_images(rows["dicom_id"], _cxr_lt_of(files))


def _cxr_lt_of(files: Mapping[str, Path]) -> list[Path]:
    return [path for name, path in files.items() if name.startswith("cxr-lt")]


def _labeler_of(files: Mapping[str, Path]) -> Path:
    return files[_NEGBIO] if _NEGBIO in files else files[_LABELER]


def _lengthen(rows: pl.DataFrame, labels: pl.DataFrame) -> pl.DataFrame:
    """One row per filled cell of `labels`, which has `reader` and one column per finding."""
    words = [name for name in labels.columns if name != "reader"]
    named = pl.concat([rows.select(_IMAGE_ID), labels], how="horizontal")
    return named.unpivot(words, index=["image_id", "reader"], variable_name="finding").drop_nulls("value")


def _describe_images(files: Mapping[str, Path], rows: pl.DataFrame) -> pl.DataFrame:
    subject = pl.col("subject_id")
    return rows.select(
        _IMAGE_ID,
        patient_id=pl.format("mimic/p{}", subject),
        study_id=pl.format("mimic/s{}", "study_id"),
        dataset=pl.lit("mimic"),
        view=_view(pl.col("ViewPosition")),
        path=pl.format("files/p{}/p{}/s{}/{}.jpg", subject.str.head(2), subject, "study_id", "dicom_id"),
        **describe_people(files.get(_PATIENTS), rows),
        official_split=_official_split(files[_SPLIT], rows["dicom_id"]),
        **(name_labeller(files.get(_EXPERTS)) if _NEGBIO in files else {}),
    )


def _view(position: pl.Expr) -> pl.Expr:
    """Rare positions (LAO, SWIMMERS) are not guessed at, and 15,769 images state none."""
    side = pl.when(position.str.contains(_LATERAL)).then(pl.lit("LATERAL")).otherwise(pl.lit("UNKNOWN"))
    return pl.coalesce(position.str.extract(_FRONTAL), side)


def _official_split(path: Path, dicom_ids: pl.Series) -> pl.Series:
    """The part of each image, in the order of `dicom_ids`; the file must name each image once."""
    rows = read_csv(path, ("dicom_id", "split"))
    parts = rows.select("dicom_id", official_split=recode(path, rows, "split", _SPLITS))
    named = dicom_ids.to_frame().join(parts, on="dicom_id", how="left", maintain_order="left")["official_split"]
    if len(named) != len(dicom_ids) or named.has_nulls():
        raise SourceFormatError(
            f"{path} names {rows.height:,} images, and not each of the {len(dicom_ids):,} images of {_METADATA} once: "
            "expected files of one release. Get both again."
        )
    return named


MIMIC = Dataset(
    name="mimic",
    title="MIMIC-CXR-JPG",
    home_page="https://physionet.org/content/mimic-cxr-jpg/",
    citation="Johnson et al. 2019, MIMIC-CXR-JPG, https://arxiv.org/abs/1901.07042",
    licence="PhysioNet Credentialed Health Data License 1.5.0",
    access="credentialed",
    commercial_use=False,
    redistribution=False,
    thumbnails=Display(False, "PhysioNet Credentialed Health Data License 1.5.0: for credentialed users only"),
    unstated_is="negative",
    read_images=read_images,
    read_findings=read_findings,
    read_wide=read_wide,
    find_metadata=find_metadata,
    find_pixels=find_pixels,
    describe_layout=describe_layout,
    find_gaps=find_gaps,
    known_gap=f"{UNLABELLED} of the {STUDIES:,} published studies have no labels",
    lookalikes=lookalikes.MIMIC,
    suffixes=(".jpg",),
    expected={"images": 377_110, "patients": 65_379},
    expected_parts={"train": 368_960, "val": 2_991, "test": 5_159},
)
