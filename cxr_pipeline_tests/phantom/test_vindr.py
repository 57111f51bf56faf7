import csv
import hashlib
import io
import re
from collections import Counter

import numpy as np
import polars as pl
import pydicom
import pytest
from pydicom.uid import ExplicitVRLittleEndian, JPEG2000Lossless

from cxr_pipeline.datasets.inventory import take_inventory
from cxr_pipeline.datasets.vindr.source import VINDR, describe_layout, find_metadata
from cxr_pipeline.datasets.vindr.words import WORDS
from cxr_pipeline.errors import PhantomError
from cxr_pipeline.images.decode.pixels import decode_radiograph
from cxr_pipeline.labels.boxes import box_table
from cxr_pipeline.labels.harmonize import label_table
from cxr_pipeline.pathologies import PATHOLOGIES
from cxr_pipeline.phantom.cohort import draw_patient
from cxr_pipeline.phantom.vindr import MEANINGS, NORMAL, describe_study, dicom_bytes, invent, miss
from cxr_pipeline.phantom.write import PhantomRequest, write_phantoms
from cxr_pipeline_tests.images.conftest import picture

PATIENTS, SEED, HEIGHT = 60, 5, 32
SILENT = ("Hernia", "Mass", "Nodule")  # classes that VinDr has no word of the same meaning for


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("vindr")
    write_phantoms(PhantomRequest("vindr", patients=PATIENTS, seed=SEED, size=HEIGHT), folder, workers=1)
    return folder


@pytest.fixture(scope="module")
def drawn():
    """Image id -> the findings that are drawn."""
    studies = (draw_patient("vindr", SEED, index).studies[0] for index in range(PATIENTS))
    return {f"vindr/{hashlib.sha256(str(study.seed).encode()).hexdigest()[:32]}": study.findings for study in studies}


def rows(root, name):
    with (root / "annotations" / f"{name}.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_headers_are_the_published_ones(root):
    header = (root / "annotations" / "image_labels_train.csv").read_text().split("\n")[0]
    assert header == "image_id,rad_id," + ",".join(WORDS)
    header = (root / "annotations" / "image_labels_test.csv").read_text().split("\n")[0]
    assert header == "image_id," + ",".join(WORDS).replace("Other diseases", "Other disease")
    for part, reader in (("train", "rad_id,"), ("test", "")):
        header = (root / "annotations" / f"annotations_{part}.csv").read_text().split("\n")[0]
        assert header == f"image_id,{reader}class_name,x_min,y_min,x_max,y_max"


def test_every_file_has_its_rows_three_in_training_and_one_in_test(root):
    for part, count in (("train", 3), ("test", 1)):
        files = [path.stem for path in (root / part).glob("*.dicom")]
        assert all(re.fullmatch("[0-9a-f]{32}", name) for name in files)
        assert Counter(row["image_id"] for row in rows(root, f"image_labels_{part}")) == dict.fromkeys(files, count)
    assert (len(files), len(list((root / "train").iterdir()))) == (PATIENTS // 6, PATIENTS - PATIENTS // 6)


def test_source_reads_them_without_a_gap(root):
    inventory = take_inventory(VINDR, root)
    assert (inventory.table.height, inventory.missing, inventory.extra, inventory.warnings) == (PATIENTS, 0, 0, ())
    assert inventory.table["is_phantom"].all()
    assert find_metadata(root).missing == {}
    assert describe_layout(root).name == "PhysioNet 1.0.0"


def test_labels_bring_the_drawn_findings_back(root, drawn):
    table = label_table(VINDR, root).table
    for pathology in sorted(set(PATHOLOGIES) - set(SILENT)):
        truth = [int(pathology in drawn[image]) for image in table["image_id"]]
        said = table.with_columns(truth=pl.Series(truth)).filter(pl.col(pathology) >= 0)
        assert said.filter(pl.col(pathology) != pl.col("truth")).is_empty()
        assert said[pathology].sum() == sum(truth)
        assert said.height > 0.8 * PATIENTS


def test_uncertain_cells_are_absent_findings_that_one_reader_saw(root, drawn):
    table = label_table(VINDR, root).table
    uncertain = [
        (image, pathology) for pathology in PATHOLOGIES for image in table.filter(pl.col(pathology) == -1)["image_id"]
    ]
    assert uncertain
    assert not [pathology for image, pathology in uncertain if pathology in drawn[image]]


def test_mass_nodule_and_hernia_are_unknown(root, drawn):
    table = label_table(VINDR, root).table
    assert table.select(SILENT).null_count().row(0) == (PATIENTS,) * 3
    ambiguous = table.filter(pl.col("evidence").struct.field("Nodule") == "ambiguous")["image_id"].to_list()
    assert {image for image, findings in drawn.items() if {"Mass", "Nodule"} & set(findings)} <= set(ambiguous)


def test_boxes_lie_within_the_picture_and_belong_to_what_their_reader_marked(root):
    marked = {(row["image_id"], row["rad_id"]): row for row in rows(root, "image_labels_train")}
    for row in rows(root, "annotations_train"):
        assert marked[row["image_id"], row["rad_id"]][row["class_name"]] == "1"
        assert (row["class_name"] == "No finding") == (row["x_min"] == "")
    table = box_table(VINDR, root)
    assert table.height > 100
    assert (table["y"] + table["height"]).max() <= HEIGHT
    assert table.select(pl.col("width", "height").min()).row(0) >= (1, 1)


def test_readers_differ_in_their_boxes(root):
    boxes = box_table(VINDR, root).filter(pl.col("reader") != "", pl.col("finding") == "Cardiomegaly")
    spread = boxes.group_by("image_id").agg(pl.len(), pl.col("width").n_unique().alias("widths"))
    assert spread.filter(pl.col("len") > 1, pl.col("widths") > 1).height > 0


def test_strict_reader_misses_and_lenient_one_invents():
    rng = np.random.default_rng(0)
    words = frozenset({"Edema", "Pneumothorax"})
    missed, invented = [miss(rng, words) for _ in range(2000)], [invent(rng, words) for _ in range(2000)]
    assert all(reading and reading <= words for reading in missed)
    assert np.mean(["Edema" not in reading for reading in missed]) == pytest.approx(0.2 - 0.2**2, abs=0.03)
    assert all(words <= reading for reading in invented)
    assert np.mean([len(reading) - 2 for reading in invented]) == pytest.approx(0.02 * (len(MEANINGS) - 2), abs=0.05)
    assert invent(rng, NORMAL) == NORMAL == miss(rng, NORMAL)


def test_no_finding_is_said_alone(root):
    for row in rows(root, "image_labels_train") + rows(root, "image_labels_test"):
        others = sum(int(row[word]) for word in row if word not in ("image_id", "rad_id", "No finding"))
        assert (row["No finding"] == "1") == (others == 0)


def test_a_joint_word_stands_for_mass_and_nodule():
    rng = np.random.default_rng(0)
    for finding in ("Mass", "Nodule"):
        assert "Nodule/Mass" in describe_study(rng, [finding])


def test_every_form_of_file_is_there_and_shows_the_same_picture():
    forms, pixels = Counter(), picture(0)
    for seed in range(60):
        data = dicom_bytes(np.random.default_rng(seed), "0f" * 16, pixels)
        header = pydicom.dcmread(io.BytesIO(data))
        forms[header.file_meta.TransferSyntaxUID, header.PhotometricInterpretation, "WindowWidth" in header] += 1
        if "WindowWidth" in header:
            shown = decode_radiograph(data, size=64).pixels
            np.testing.assert_allclose(shown.astype(int), pixels, atol=1)
    for syntax in (ExplicitVRLittleEndian, JPEG2000Lossless):
        for shown in ("MONOCHROME1", "MONOCHROME2"):
            assert forms[syntax, shown, True] > 0
    assert sum(count for (_, _, has_window), count in forms.items() if not has_window) > 0


def test_same_request_gives_the_same_bytes(tmp_path):
    digests = []
    for name in ("a", "b"):
        write_phantoms(PhantomRequest("vindr", patients=7, seed=1, size=32), tmp_path / name, workers=1)
        files = sorted(path for path in (tmp_path / name).rglob("*") if path.is_file())
        digests.append([(path.relative_to(tmp_path / name), path.read_bytes()) for path in files])
    assert digests[0] == digests[1]


def test_few_patients_without_a_test_part_can_be_read(tmp_path):
    write_phantoms(PhantomRequest("vindr", patients=2, seed=1, size=32), tmp_path, workers=1)
    assert take_inventory(VINDR, tmp_path).table.height == 2


def test_real_files_unpacked_over_phantoms_are_never_deleted(tmp_path):
    write_phantoms(PhantomRequest("vindr", patients=2, seed=1, size=32), tmp_path, workers=1)
    real = tmp_path / "train" / f"{'a' * 32}.dicom"
    real.write_bytes(b"a real radiograph")
    with pytest.raises(PhantomError, match="may hold real radiographs"):
        write_phantoms(PhantomRequest("vindr", patients=2, seed=2, size=32), tmp_path, workers=1)
    assert real.exists()
