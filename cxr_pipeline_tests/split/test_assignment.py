import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from cxr_pipeline.split.assignment import assign_splits, hash_position
from cxr_pipeline.split.config import SplitConfig

CONFIG = SplitConfig()


def images(dataset: str, groups: list[str], official: list[str | None]) -> pl.DataFrame:
    return pl.DataFrame(
        {"dataset": dataset, "group": groups, "official_split": official},
        schema_overrides={"official_split": pl.String},
    )


def splits_of(frame: pl.DataFrame, config: SplitConfig = CONFIG) -> list[str]:
    return assign_splits(frame, config)["split"].cast(pl.String).to_list()


def test_hash_position_is_pinned_for_ever():
    # A change here moves patients between splits in every lake that exists.
    assert hash_position("nih/00000001", "cxr") == 0.5616548641466031


def test_official_nih_test_images_are_all_test():
    assert set(splits_of(images("nih", [f"p{i}" for i in range(500)], ["test"] * 500))) == {"test"}


def test_nih_train_val_patients_never_become_test():
    found = splits_of(images("nih", [f"p{i}" for i in range(2000)], ["train_val"] * 2000))
    assert set(found) == {"train", "val"}
    assert 0.08 < found.count("val") / 2000 < 0.14  # 0.1 / 0.9 of what is not test


def test_chexpert_validation_set_stays_validation_and_its_train_part_is_hashed():
    groups = [f"p{i}" for i in range(4000)]
    found = splits_of(images("chexpert", groups, ["val"] * 1000 + ["train"] * 3000))
    assert set(found[:1000]) == {"val"}
    assert {split: round(found[1000:].count(split) / 3000, 1) for split in ("train", "val", "test")} == {
        "train": 0.8,
        "val": 0.1,
        "test": 0.1,
    }


def test_external_source_is_wholly_test():
    config = SplitConfig(external=["chexpert"])
    assert set(splits_of(images("chexpert", ["a", "b", "c"], ["train", "val", None]), config)) == {"test"}


def test_stricter_split_takes_the_whole_group():
    assert splits_of(images("nih", ["same", "same", "same"], ["train_val", "test", "train_val"])) == ["test"] * 3


def test_another_salt_is_another_split():
    frame = images("padchest", [f"p{i}" for i in range(300)], [None] * 300)
    assert splits_of(frame) != splits_of(frame, SplitConfig(salt="other"))


@given(st.lists(st.integers(0, 200), min_size=1, max_size=60), st.lists(st.integers(0, 200), max_size=60))
def test_arriving_patients_move_nobody(known: list[int], arriving: list[int]):
    before = images("padchest", [f"p{i}" for i in known], [None] * len(known))
    after = images("padchest", [f"p{i}" for i in [*arriving, *known]], [None] * (len(known) + len(arriving)))
    assert splits_of(after)[len(arriving) :] == splits_of(before)


@given(st.lists(st.tuples(st.integers(0, 20), st.sampled_from(["train_val", "test", None])), min_size=1, max_size=80))
def test_no_group_is_in_two_splits_and_no_test_image_elsewhere(rows: list[tuple[int, str | None]]):
    frame = assign_splits(images("nih", [f"p{g}" for g, _ in rows], [o for _, o in rows]), CONFIG)
    assert frame.group_by("group").agg(pl.col("split").n_unique())["split"].max() == 1
    assert set(frame.filter(pl.col("official_split") == "test")["split"]) <= {"test"}
