"""Whether to ask for a run, and of what. Reads no file: `standing` and `staleness` say what there is to decide on."""

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import dagster as dg

FIRST_PAUSE_SECONDS = 300.0
LONGEST_PAUSE_SECONDS = 6 * 3_600.0
_NAMED = 6  # stale assets in a message


@dataclass(frozen=True)
class Demand:
    """What a run has to make, and why; nothing where all is up to date."""

    changed: Mapping[str, str] = field(default_factory=dict)  # source -> what has changed in it
    stale: Mapping[dg.AssetKey, str] = field(default_factory=dict)  # asset -> why it is not up to date
    wanted: Mapping[str, str] = field(default_factory=dict)  # changed source -> the state that is to be read
    within: Collection[dg.AssetKey] = ()  # what may be made now

    def __bool__(self) -> bool:
        return bool(self.changed or self.stale)

    @property
    def identity(self) -> str:
        """The same for the same demand, so that a run that fails is known to have been asked for before."""
        stale = sorted((key.to_user_string(), why) for key, why in self.stale.items())
        return hashlib.sha256(json.dumps([sorted(self.wanted.items()), stale]).encode()).hexdigest()[:16]

    @property
    def reason(self) -> str:
        """One line for the tick, the run's tag and its log. No image and no patient is named."""
        named = [f"{key.to_user_string()} {why}" for key, why in self.stale.items()]
        more = [f"and {len(named) - _NAMED} more"] if len(named) > _NAMED else []
        return "; ".join([*self.changed.values(), *named[:_NAMED], *more])


@dataclass(frozen=True)
class Asked:
    """The last demand that was asked for, how often in a row, and when last; kept in the cursor."""

    identity: str = ""
    times: int = 0
    at: float = 0.0

    @classmethod
    def read(cls, cursor: str | None) -> "Asked":
        """From a cursor; one of another form, as older versions wrote, remembers nothing."""
        try:
            found = json.loads(cursor or "{}")
            return cls(str(found["identity"]), int(found["times"]), float(found["at"]))
        except (ValueError, KeyError, TypeError):
            return cls()

    def write(self) -> str:
        return json.dumps({"identity": self.identity, "times": self.times, "at": self.at})

    def again(self, demand: Demand, *, now: float) -> "Asked":
        """After `demand` was asked for."""
        times = self.times + 1 if demand.identity == self.identity else 1
        return Asked(demand.identity, times, now)

    def wait_seconds(self, demand: Demand, *, now: float) -> float:
        """How long a demand that was asked for in vain has to wait: longer each time, from the last try on."""
        if demand.identity != self.identity or not self.times:
            return 0.0
        pause = min(FIRST_PAUSE_SECONDS * 2 ** (self.times - 1), LONGEST_PAUSE_SECONDS)
        return max(0.0, self.at + pause - now)


def selection_of(demand: Demand, children: Mapping[dg.AssetKey, Collection[dg.AssetKey]]) -> list[dg.AssetKey]:
    """The inventories of changed sources, what is stale, and all that descends from them, as far as it may be made."""
    waiting = [*(dg.AssetKey(["raw", name]) for name in demand.changed), *demand.stale]
    found: set[dg.AssetKey] = set()
    while waiting:
        key = waiting.pop()
        if key in demand.within and key not in found:
            found.add(key)
            waiting += children.get(key, ())
    return sorted(found)
