"""How much of a store is in quarantine, and why. Which file gets which reason is decided where it is decoded."""

from dataclasses import dataclass

import polars as pl

MISSING = "missing"  # the file went away between the inventory and the decoding: a fault of the disk, not of a picture


@dataclass(frozen=True)
class QuarantineCount:
    """Files of one store by what became of them."""

    files: int  # that were there to be read
    missing: int  # published images without a file
    reasons: dict[str, int]  # files in quarantine by reason, most frequent first; `missing` is not among them

    @property
    def quarantined(self) -> int:
        return sum(self.reasons.values())

    @property
    def share(self) -> float:
        """Quarantined files among those that were there; 0 where none was."""
        return self.quarantined / self.files if self.files else 0.0


def count_reasons(index: pl.DataFrame) -> dict[str, int]:
    """Files in quarantine of a `StoreIndex` by reason, most frequent first."""
    found = index.filter(pl.col("quarantine").is_not_null()).group_by("quarantine").len()
    return dict(found.sort(["len", "quarantine"], descending=[True, False]).rows())


def count_quarantine(index: pl.DataFrame, *, absent: int) -> QuarantineCount:
    """Counts a `StoreIndex`; `absent` published images had no file when the inventory was taken."""
    reasons = count_reasons(index)
    gone = reasons.pop(MISSING, 0)
    return QuarantineCount(index.height - gone, absent + gone, reasons)
