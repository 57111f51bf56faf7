import pytest

from cxr_pipeline.watch import Changes, describe_changes
from cxr_pipeline.watch.journal import Described, Event, Happening, sum_up

NOTHING = Described()


def happening(event, *, arrived=1, before=1, name=None, is_metadata=False):
    return Happening(event, is_metadata, name, arrived, before)


def test_what_came_and_went_in_between_is_not_counted():
    rows = [
        (happening(Event.NEW, arrived=11, before=0), 5),
        (happening(Event.CHANGED, arrived=11, before=11), 4),  # still being written
        (happening(Event.GONE, arrived=11, before=12), 2),
        (happening(Event.GONE), 1),
        (happening(Event.CHANGED), 7),
        (happening(Event.CHANGED, before=13), 3),  # again
    ]
    seen = sum_up(rows, since=10, is_first=False)
    assert (seen.new, seen.gone, seen.changed) == (3, 1, 7)


def test_a_table_that_changed_twice_is_named_once():
    rows = [
        (happening(Event.CHANGED, name="a.csv", is_metadata=True), 1),
        (happening(Event.CHANGED, name="a.csv", is_metadata=True, before=11), 1),
    ]
    seen = sum_up(rows, since=10, is_first=False)
    assert describe_changes("nih", seen) == "nih: 1 changed CSV (a.csv)"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (Changes(), "openi: no change"),
        (Changes(new=1), "openi: +1 file"),
        (Changes(metadata=(Described(3_955), NOTHING, NOTHING)), "openi: 3,955 new metadata files"),
        (
            Changes(metadata=(NOTHING, Described(6, ("a.csv", "b.csv", "c.csv", "d.csv", "e.csv", "f.csv")), NOTHING)),
            "openi: 6 gone metadata files (a.csv, b.csv, c.csv, d.csv and 2 more)",
        ),
        (Changes(gone=2, changed=1_000, is_first=True), "openi: 2 gone, 1,000 changed, seen for the first time"),
    ],
)
def test_changes_in_one_line(changes, expected):
    assert describe_changes("openi", changes) == expected
