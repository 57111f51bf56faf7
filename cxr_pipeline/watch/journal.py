"""What has changed since when, in numbers and in one line. Never a patient's id: pictures are counted, not named."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

_NAMED = 4


class Event(IntEnum):
    NEW = 0
    GONE = 1
    CHANGED = 2


class Happening(NamedTuple):
    """Some files of which the same is to be said."""

    event: Event
    is_metadata: bool
    name: str | None  # of one metadata file that may be named
    arrived: int  # sequence at which the files were new
    before: int  # sequence of the last that had happened to them


@dataclass(frozen=True)
class Described:
    """Metadata files to which the same has happened."""

    count: int = 0
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Changes:
    """What has happened to the files of a source since a sequence of its journal: pictures in numbers, net of what came
    and went in between, and metadata files."""

    new: int = 0
    gone: int = 0
    changed: int = 0
    metadata: tuple[Described, Described, Described] = (Described(), Described(), Described())  # by Event
    is_first: bool = False  # the memory began after that sequence: what was before is not known

    @property
    def is_empty(self) -> bool:
        return not (self.new or self.gone or self.changed or any(described.count for described in self.metadata))


def sum_up(rows: Iterable[tuple[Happening, int]], *, since: int, is_first: bool) -> Changes:
    """`rows`: all that has happened after `since`, and to how many files."""
    pictures = dict.fromkeys(Event, 0)
    counts = dict.fromkeys(Event, 0)
    names: dict[Event, dict[str, None]] = {event: {} for event in Event}
    for happening, count in rows:
        target = counts if happening.is_metadata else pictures
        event = happening.event
        if event == Event.GONE and happening.arrived > since:
            target[Event.NEW] -= count
            names[Event.NEW].pop(happening.name or "", None)
        elif event != Event.CHANGED or happening.before <= since:  # else it has been counted
            target[event] += count
            if happening.name:
                names[event][happening.name] = None
    new, gone, changed = (Described(counts[event], tuple(names[event])) for event in Event)
    return Changes(pictures[Event.NEW], pictures[Event.GONE], pictures[Event.CHANGED], (new, gone, changed), is_first)


def describe_changes(dataset: str, changes: Changes) -> str:
    """`padchest: +312 files, 3 gone, 1 changed CSV (chest_x_ray_images_labels.csv)`."""
    parts = [
        f"{changes.new:+,} {_plural(changes.new, 'file')}" if changes.new else "",
        f"{changes.gone:,} gone" if changes.gone else "",
        f"{changes.changed:,} changed" if changes.changed else "",
        *(_describe(described, event) for event, described in zip(Event, changes.metadata, strict=True)),
    ]
    told = ", ".join(part for part in parts if part) or "no change"
    return f"{dataset}: {told}{', seen for the first time' if changes.is_first else ''}"


def _describe(described: Described, event: Event) -> str:
    if not described.count:
        return ""
    more = described.count - len(described.names[:_NAMED])
    are_tables = more == 0 and all(name.lower().endswith((".csv", ".csv.gz")) for name in described.names)
    noun = "CSV" if are_tables else _plural(described.count, "metadata file")
    named = ", ".join(described.names[:_NAMED]) + (f" and {more:,} more" if more else "")
    return f"{described.count:,} {event.name.lower()} {noun}" + (f" ({named})" if described.names else "")


def _plural(count: int, noun: str) -> str:
    return noun if abs(count) == 1 else f"{noun}s"
