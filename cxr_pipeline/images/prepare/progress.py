"""How fast a store is being prepared. Where that is shown does not live here."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass
class Pace:
    """Images per second since the first call: what an earlier run had done does not count."""

    clock: Callable[[], float] = time.monotonic  # seconds
    _began: tuple[float, int] | None = field(default=None, init=False)

    def describe(self, done: int, total: int, quarantined: int) -> str:
        """`210 images/s, 9 min left, 3 in quarantine`, as far as it can be known yet."""
        rate = self._images_per_second(done)
        words = [f"{rate:,.0f} images/s"] if rate else []
        if rate and done < total:
            words.append(f"{_duration((total - done) / rate)} left")
        return ", ".join([*words, f"{quarantined:,} in quarantine"])

    def _images_per_second(self, done: int) -> float:
        now = self.clock()
        if self._began is None:
            self._began = (now, done)
        began, before = self._began
        return (done - before) / (now - began) if now > began else 0.0


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
