import pytest

from cxr_pipeline.datasets import DATASETS
from cxr_pipeline.watch.kinds import Kind, Kinds, public_name


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        (b"a.PNG", Kind.PICTURE),
        (b"a.dicom", Kind.PICTURE),
        (b"a.jpeg", Kind.PICTURE),
        (b"a.csv.gz", Kind.METADATA),
        (b"1.xml", Kind.METADATA),
        (b"deid_png.part07", Kind.PART),
        (b"deid_png.part07.incomplete", None),
        (b"._a.png", None),
        (b"~$a.csv", None),
        (b"a.csv~", None),
        (b"a.png.part", None),
        (b"a.tmp", None),
        (b"README.md", None),
    ],
)
def test_what_is_watched(name, kind):
    assert Kinds.of(DATASETS["rexgradient"]).kind_of(name) is kind


def test_every_source_watches_its_own_pictures():
    for dataset in DATASETS.values():
        assert all(Kinds.of(dataset).kind_of(f"a{suffix}".encode()) == Kind.PICTURE for suffix in dataset.suffixes)


@pytest.mark.parametrize(
    ("folder", "name", "expected"),
    [
        (b"", b"chest_x_ray_images_labels.csv", True),
        (b"", b"PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv.gz", True),
        (b"", b"df_chexpert_plus_240401.csv", True),
        (b"mimic/2.1.0", b"mimic-cxr-2.0.0-metadata.csv.gz", True),
        (b"", b"train_val_list.txt", True),
        (b"files/p10/p10000032", b"s50414267.txt", False),
        (b"p10000032", b"s50414267.txt", False),
        (b"ecgen-radiology", b"1.xml", False),
        (b"", b"00000001_000.json", False),
        (b"", b"patient00001.csv", False),
        (b"", b"study-50414267.csv", False),
        (b"a/b/c", b"labels.csv", False),
    ],
)
def test_names_of_patients_and_studies_are_not_told(folder, name, expected):
    assert (public_name(folder, name, Kind.METADATA) == name.decode()) is expected
    assert public_name(folder, name, Kind.PICTURE) is None
