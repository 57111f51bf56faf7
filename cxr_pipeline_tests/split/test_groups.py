import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from cxr_pipeline.split.groups import group_duplicates, group_patients, smallest_of_component
from cxr_pipeline_tests.split.tables import pair_rows


def images(*rows: tuple[str, str, str]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=["image_id", "patient_id", "study_id"], orient="row")


def groups_of(frame: pl.DataFrame, *pairs: tuple[str, str]) -> dict[str, str]:
    return dict(group_patients(frame, pair_rows(*pairs)).select("patient_id", "group").iter_rows())


def test_patient_without_links_is_a_group_of_its_own():
    assert groups_of(images(("i1", "a", "s1"), ("i2", "b", "s2"))) == {"a": "a", "b": "b"}


def test_study_under_two_patient_ids_joins_them_all():
    frame = images(("i1", "c", "s"), ("i2", "a", "s"), ("i3", "b", "s"), ("i4", "d", "t"))
    assert groups_of(frame) == {"a": "a", "b": "a", "c": "a", "d": "d"}


def test_links_reach_across_studies_pictures_and_sources():
    frame = images(("nih/1", "nih/p", "nih/s"), ("mimic/1", "mimic/p", "mimic/s"), ("mimic/2", "mimic/q", "mimic/s"))
    assert set(groups_of(frame, ("mimic/2", "nih/1")).values()) == {"mimic/p"}


def test_pair_of_an_image_that_is_no_longer_published_links_nobody():
    assert groups_of(images(("i1", "a", "s1"), ("i2", "b", "s2")), ("i1", "gone"), ("gone", "i2")) == {
        "a": "a",
        "b": "b",
    }


def test_duplicate_group_is_the_smallest_image_of_the_chain():
    found = group_duplicates(pair_rows(("i3", "i2"), ("i3", "i9"), ("j1", "j2")))
    assert dict(found.iter_rows()) == {"i2": "i2", "i3": "i2", "i9": "i2", "j1": "j1", "j2": "j1"}


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=40))
def test_components_are_those_of_merged_sets(links: list[tuple[int, int]]):
    named = [(f"n{a:02}", f"n{b:02}") for a, b in links]
    found = smallest_of_component(pl.DataFrame(named, schema={"a": pl.String, "b": pl.String}, orient="row"))
    assert dict(found.iter_rows()) == merge_by_hand(named)


def merge_by_hand(links: list[tuple[str, str]]) -> dict[str, str]:
    """Member -> smallest of its component, by merging sets until nothing changes."""
    parts: list[set[str]] = []
    for a, b in links:
        touched = [part for part in parts if a in part or b in part]
        parts = [part for part in parts if part not in touched] + [{a, b}.union(*touched)]
    return {member: min(part) for part in parts for member in part}
