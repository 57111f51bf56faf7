import polars as pl
import pytest

from cxr_pipeline.split.derived import count_derived, find_derived, judge_derived
from cxr_pipeline.tables.split import DuplicateTable

OWN = (
    "nih/00000001_000",
    "openi/1_IM-0001-4001",
    "rexgradient/1.2.826.0.1.3680043.10.999.15.1.1.1",
    "chexpert/train/patient00001/study1/view1_frontal",
    "mimic/02aa804e-bde0afdd-112c0b34-7bc16630-4e384014",
    "padchest/216840111366964012819207061112010307142602253_04-014-084",
    "vindr/50a418190bc3fb1ef1633bf9678929b3",
)


def images_of(*ids: str) -> pl.DataFrame:
    return pl.DataFrame({"image_id": ids, "dataset": [one.split("/")[0] for one in ids]})


def test_no_source_is_derived_from_itself_or_another():
    assert find_derived(images_of(*OWN)).is_empty()
    assert judge_derived(count_derived(images_of(*OWN), DuplicateTable.create_empty())).passed


@pytest.mark.parametrize(
    ("image_id", "home_id"),
    [
        ("clinic/sample/00000013_005", "nih/00000013_005"),
        ("chexlocalize/CheXpert/test/patient64741/study1/view1_frontal",
         "chexpert/test/patient64741/study1/view1_frontal"),
        ("reflacx/02aa804e-bde0afdd-112c0b34-7bc16630-4e384014", "mimic/02aa804e-bde0afdd-112c0b34-7bc16630-4e384014"),
        ("vinbigdata/50a418190bc3fb1ef1633bf9678929b3", "vindr/50a418190bc3fb1ef1633bf9678929b3"),
        ("gr/216840111366964012819207061112010307142602253_04-014-084",
         "padchest/216840111366964012819207061112010307142602253_04-014-084"),
    ],
)  # fmt: skip
def test_known_id_leads_to_the_image_at_home(image_id: str, home_id: str):
    row = find_derived(images_of(image_id)).row(0, named=True)
    assert row["home_id"] == home_id
    assert row["home"] == home_id.split("/")[0]


@pytest.mark.parametrize(
    ("image_id", "collection"),
    [
        ("rsna/0004cfab-14fd-4e49-80ba-63a80b6bddd6", "RSNA Pneumonia"),
        ("siim/1.2.276.0.7230010.3.1.4.8323329.6904.1517875201.850819", "SIIM-ACR Pneumothorax"),
    ],
)
def test_ids_that_only_a_mapping_explains_are_recognised_without_inventing_one(image_id: str, collection: str):
    row = find_derived(images_of(image_id)).row(0, named=True)
    assert (row["collection"], row["home"], row["home_id"]) == (collection, "nih", None)


@pytest.mark.parametrize("name", ["00000013_05", "scan-00000013_005", "patient1/study1", "deadbeef", "1.2.3.4"])
def test_ids_that_only_look_alike_are_not_recognised(name: str):
    assert find_derived(images_of(f"clinic/{name}")).is_empty()


def test_counts_say_what_is_here_twice_and_what_the_pixels_confirm():
    images = images_of(*OWN, "sample/00000001_000", "sample/00000002_000", "sample/00000003_000", "nih/00000002_000")
    pairs = pl.DataFrame({"image_a": ["nih/00000001_000"], "image_b": ["sample/00000001_000"]})
    counts = count_derived(images, pairs)
    assert counts.select("dataset", "images", "present", "confirmed").rows() == [("sample", 3, 2, 1)]
    verdict = judge_derived(counts)
    assert not verdict.passed
    assert list(verdict.facts.values()) == ["3 images"]
    assert "00000001" not in str(verdict)
