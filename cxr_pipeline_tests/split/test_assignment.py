import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cxr_pipeline.pathologies import PATHOLOGIES
from cxr_pipeline.split.assignment import Placement, assign_patients, hash_position
from cxr_pipeline.split.config import SplitConfig
from cxr_pipeline.tables.split import AssignmentTable

HASH = SplitConfig(assignment="hash")
BALANCED = SplitConfig()
NOBODY = AssignmentTable.create_empty()


def images(dataset: str, patients: list[str], official: list[str | None], *, cell: int | None = 0) -> pl.DataFrame:
    """One image per entry; each patient is a group."""
    return pl.DataFrame(
        {"patient_id": patients, "group": patients, "dataset": dataset, "official_split": official},
        schema_overrides={"official_split": pl.String},
    ).with_columns(pl.lit(cell, pl.Int8).alias(p) for p in PATHOLOGIES)


def place(frame: pl.DataFrame, config: SplitConfig = HASH, known: pl.DataFrame = NOBODY) -> Placement:
    return assign_patients(frame, frame, known, config, generation=1)


def splits_of(frame: pl.DataFrame, config: SplitConfig = HASH, known: pl.DataFrame = NOBODY) -> list[str]:
    """Of each image, in order."""
    found = place(frame, config, known).assignment
    return frame.join(found, on="patient_id", maintain_order="left")["split"].cast(pl.String).to_list()


def remembered(**splits: str) -> pl.DataFrame:
    rows = {"patient_id": list(splits), "split": list(splits.values()), "how": "balanced", "since": 1}
    return AssignmentTable.cast(pl.DataFrame(rows))


def people(n: int) -> list[str]:
    return [f"p{i:04}" for i in range(n)]


def test_hash_position_is_pinned_for_ever():
    # A change here moves patients between splits in every lake that was hashed.
    assert hash_position("nih/00000001", "cxr") == 0.5616548641466031


@pytest.mark.parametrize("config", [HASH, BALANCED])
def test_official_nih_test_images_are_all_test(config: SplitConfig):
    found = place(images("nih", people(500), ["test"] * 500), config).assignment
    assert set(found["split"]) == {"test"}
    assert set(found["how"]) == {"official"}


@pytest.mark.parametrize("config", [HASH, BALANCED])
def test_nih_train_val_patients_never_become_test(config: SplitConfig):
    found = splits_of(images("nih", people(2000), ["train_val"] * 2000), config)
    assert set(found) == {"train", "val"}
    assert 0.08 < found.count("val") / 2000 < 0.14  # 0.1 / 0.9 of what is not test


def test_balanced_shares_are_exact_where_patients_are_alike():
    found = splits_of(images("nih", people(900), ["train_val"] * 900), BALANCED)
    assert {split: found.count(split) for split in ("train", "val")} == {"train": 800, "val": 100}
    found = splits_of(images("padchest", people(1000), [None] * 1000), BALANCED)
    assert {split: found.count(split) for split in ("train", "val", "test")} == {"train": 800, "val": 100, "test": 100}


def test_chexpert_validation_set_stays_validation_and_its_train_part_is_hashed():
    found = splits_of(images("chexpert", people(4000), ["val"] * 1000 + ["train"] * 3000))
    assert set(found[:1000]) == {"val"}
    shares = {split: round(found[1000:].count(split) / 3000, 1) for split in ("train", "val", "test")}
    assert shares == {"train": 0.8, "val": 0.1, "test": 0.1}


def test_hash_of_a_patient_alone_decides_in_a_hashed_split():
    found = place(images("padchest", people(300), [None] * 300)).assignment
    expected = [
        "test" if x < 0.1 else "val" if x < 0.2 else "train" for x in found["patient_id"].map_elements(at, float)
    ]
    # The unit interval is cut from its end downwards: test has the lowest tenth, val the next, train the rest.
    assert found["split"].cast(pl.String).to_list() == expected


def at(patient: str) -> float:
    return hash_position(patient, "cxr")


def test_external_source_is_wholly_test():
    config = SplitConfig(external=["chexpert"])
    found = place(images("chexpert", ["a", "b", "c"], ["train", "val", None]), config).assignment
    assert found.select("split", "how").unique().rows() == [("test", "external")]


def test_stricter_split_takes_the_whole_group():
    assert splits_of(images("nih", ["same"] * 3, ["train_val", "test", "train_val"])) == ["test"] * 3


@pytest.mark.parametrize("config", [HASH, BALANCED])
def test_another_salt_is_another_split(config: SplitConfig):
    frame = images("padchest", people(300), [None] * 300)
    assert splits_of(frame, config) != splits_of(frame, config.model_copy(update={"salt": "other"}))


def test_link_between_two_hashed_patients_moves_none_towards_train():
    frame = images("padchest", people(200), [None] * 200)
    alone = dict(zip(frame["patient_id"], splits_of(frame), strict=True))
    tested = next(p for p, split in alone.items() if split == "test")
    trained = next(p for p, split in alone.items() if split == "train")
    linked = frame.with_columns(
        group=pl.when(pl.col("patient_id").is_in([tested, trained])).then(pl.lit(trained)).otherwise("group")
    )
    together = dict(zip(frame["patient_id"], splits_of(linked), strict=True))
    assert together[tested] == together[trained] == "test"
    assert {p: s for p, s in together.items() if p != trained} == {p: s for p, s in alone.items() if p != trained}


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 200), min_size=1, max_size=60), st.lists(st.integers(0, 200), max_size=60))
def test_arriving_patients_move_nobody_in_a_hashed_split(known: list[int], arriving: list[int]):
    before = images("padchest", [f"p{i}" for i in known], [None] * len(known))
    after = images("padchest", [f"p{i}" for i in [*arriving, *known]], [None] * (len(known) + len(arriving)))
    assert splits_of(after)[len(arriving) :] == splits_of(before)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 20), st.sampled_from(["train_val", "test", None])), min_size=1, max_size=80))
def test_no_group_is_in_two_splits_and_no_test_image_elsewhere(rows: list[tuple[int, str | None]]):
    frame = images("nih", [f"p{g}" for g, _ in rows], [part for _, part in rows])
    for config in (HASH, BALANCED):
        found = frame.with_columns(split=pl.Series(splits_of(frame, config)))
        assert found.group_by("group").agg(pl.col("split").n_unique())["split"].max() == 1
        assert set(found.filter(pl.col("official_split") == "test")["split"]) <= {"test"}


def test_group_without_a_known_label_is_hashed_since_balance_has_nothing_to_go_by():
    frame = pl.concat([images("padchest", people(20), [None] * 20), images("padchest", ["q"], [None], cell=-1)])
    how = dict(place(frame, BALANCED).assignment.select("patient_id", "how").iter_rows())
    assert how.pop("q") == "hash"
    assert set(how.values()) == {"balanced"}


def test_arrivals_balance_with_what_is_there():
    known = remembered(**dict.fromkeys(people(80), "train"))
    frame = images("padchest", [f"p{i:04}" for i in range(100)], [None] * 100)
    found = splits_of(frame, BALANCED, known)
    assert found[:80] == ["train"] * 80
    assert sorted(found[80:]) == ["test"] * 10 + ["val"] * 10


def test_known_patient_keeps_split_row_and_generation():
    known = remembered(a="test", b="val")
    frame = images("padchest", ["a", "b", "c"], [None] * 3)
    found = assign_patients(frame, frame, known, BALANCED, generation=2)
    assert found.moves.is_empty()
    assert found.assignment.filter(pl.col("patient_id") != "c").equals(known)
    assert found.assignment.filter(patient_id="c")["since"].item() == 2


def test_patient_who_left_keeps_a_row_for_the_return():
    found = place(images("padchest", ["b"], [None]), BALANCED, remembered(a="test", b="train"))
    assert found.assignment.equals(remembered(a="test", b="train"))


def test_new_link_moves_the_less_strict_patient_and_lists_it():
    frame = images("padchest", ["a", "b", "c"], [None] * 3).with_columns(group=pl.Series(["a", "a", "c"]))
    found = place(frame, BALANCED, remembered(a="train", b="test", c="train"))
    assert found.moves.rows() == [("a", 1, "train", "test", "group")]
    assert found.assignment.filter(patient_id="a").rows() == [("a", "test", "group", 1)]
    assert dict(found.assignment.select("patient_id", "split").iter_rows()) == {"a": "test", "b": "test", "c": "train"}


def test_newcomer_follows_the_patient_it_is_linked_to():
    frame = images("padchest", ["a", "b"], [None] * 2).with_columns(group=pl.lit("a"))
    found = place(frame, BALANCED, remembered(b="val"))
    assert found.moves.is_empty()
    assert found.assignment.filter(patient_id="a").rows() == [("a", "val", "group", 1)]


def test_test_patient_stays_test_when_a_list_arrives_that_says_train():
    frame = images("mimic", ["a"], ["train"])
    found = place(frame, BALANCED, remembered(a="test"))
    assert found.moves.is_empty()
    assert found.assignment["split"].to_list() == ["test"]


def test_train_patient_becomes_test_when_a_list_arrives_that_says_test():
    found = place(images("nih", ["a"], ["test"]), BALANCED, remembered(a="train"))
    assert found.moves.rows() == [("a", 1, "train", "test", "official")]


def test_patient_known_from_images_that_are_now_unusable_still_decides_for_the_group():
    published = images("padchest", ["a", "b"], [None] * 2).with_columns(group=pl.lit("a"))
    usable = published.filter(pl.col("patient_id") == "a")
    found = assign_patients(published, usable, remembered(b="test"), BALANCED, generation=2)
    assert found.assignment.rows() == [("a", "test", "group", 2), ("b", "test", "balanced", 1)]
