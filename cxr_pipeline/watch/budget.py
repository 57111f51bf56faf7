"""How long a look may take, and what it has taken."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Purpose = Literal["around", "work"]


@dataclass(frozen=True)
class Budget:
    """What one look may cost. It ends with the batch (some 500 stats) in which a limit is passed."""

    cpu_seconds: float = 0.6  # of looking around, where nothing is known to be new
    work_cpu_seconds: float = 10.0  # of taking up what is known to be new
    wall_seconds: float = 20.0

    def share(self, spent: "Spent", parts: int) -> "Budget":
        """What is left after `spent` for each of `parts`."""
        return Budget(
            max(0.0, self.cpu_seconds - spent.around_cpu_seconds) / parts,
            max(0.0, self.work_cpu_seconds - spent.work_cpu_seconds) / parts,
            max(0.0, self.wall_seconds - spent.wall_seconds) / parts,
        )


@dataclass(frozen=True)
class Spent:
    """Seconds that looks took; CPU seconds are those of the look's own threads."""

    around_cpu_seconds: float = 0.0
    work_cpu_seconds: float = 0.0
    wall_seconds: float = 0.0

    @property
    def cpu_seconds(self) -> float:
        return self.around_cpu_seconds + self.work_cpu_seconds

    def __add__(self, other: "Spent") -> "Spent":
        return Spent(
            self.around_cpu_seconds + other.around_cpu_seconds,
            self.work_cpu_seconds + other.work_cpu_seconds,
            self.wall_seconds + other.wall_seconds,
        )


class Meter:
    """Counts the seconds of one look against its budget; None is no limit."""

    def __init__(self, budget: Budget | None) -> None:
        self._budget = budget
        self._started = time.monotonic()
        self._helpers = 0.0
        self._lock = threading.Lock()
        self._purpose: Purpose = "around"
        self._mark = self._cpu()
        self._spent: dict[Purpose, float] = {"around": 0.0, "work": 0.0}

    def repeat(self, purpose: Purpose, batch: Callable[[], bool], *, at_least_once: bool = True) -> None:
        """Runs `batch` until it says that there is no more, or the purpose's budget is spent."""
        self._charge()
        self._purpose = purpose
        if not at_least_once and self.is_over:
            return
        while batch() and not self.is_over:
            pass
        self._charge()

    @property
    def is_over(self) -> bool:
        self._charge()
        if self._budget is None:
            return False
        seconds = self._budget.cpu_seconds if self._purpose == "around" else self._budget.work_cpu_seconds
        return self._spent[self._purpose] >= seconds or self.spent.wall_seconds >= self._budget.wall_seconds

    @property
    def spent(self) -> Spent:
        return Spent(self._spent["around"], self._spent["work"], time.monotonic() - self._started)

    def add_helper(self, cpu_seconds: float) -> None:
        """What a thread of the pool took."""
        with self._lock:
            self._helpers += cpu_seconds

    def _charge(self) -> None:
        cpu = self._cpu()
        self._spent[self._purpose] += cpu - self._mark
        self._mark = cpu

    def _cpu(self) -> float:
        return time.thread_time() + self._helpers
