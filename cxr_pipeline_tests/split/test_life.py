"""A simulated life of a split: patients arrive and leave, copies turn up, lists are published."""

from dataclasses import dataclass, field

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cxr_pipeline.pathologies import PATHOLOGIES, SPLITS
from cxr_pipeline.split.assignment import assign_patients
from cxr_pipeline.split.config import SplitConfig
from cxr_pipeline.split.groups import group_patients
from cxr_pipeline.split.history import Memory
from cxr_pipeline_tests.split.tables import pair_rows

SOURCES = {"nih": ("train_val", "test"), "chexpert": ("train", "val"), "padchest": (None,)}
ARRIVALS = 50


@dataclass
class Life:
    """The published images, the links found so far, and what is remembered."""

    rng: np.random.Generator
    memory: Memory = field(default_factory=Memory.empty)
    rows: list[tuple] = field(default_factory=list)
    pairs: list[tuple[str, str]] = field(default_factory=list)
    patients: int = 0

    def arrive(self, size: int) -> None:
        for _ in range(size):
            dataset = str(self.rng.choice(list(SOURCES)))
            part = SOURCES[dataset][self.rng.integers(len(SOURCES[dataset]))]
            patient = f"{dataset}/p{self.rng.permutation(9999)[0]}-{self.patients}"
            self.patients += 1
            for k in range(self.rng.integers(1, 4)):
                labels = (self.rng.random(len(PATHOLOGIES)) < 0.1).astype(int).tolist()
                self.rows.append((f"{patient}_{k}", patient, f"{patient}-s{k}", dataset, part, *labels))

    def leave(self, share: float) -> None:
        self.rows = [row for row in self.rows if self.rng.random() >= share]

    def find_copies(self, number: int) -> None:
        for _ in range(number if len(self.rows) > 1 else 0):
            a, b = self.rng.choice(len(self.rows), 2, replace=False)
            self.pairs.append((self.rows[a][0], self.rows[b][0]))

    def publish_list(self) -> None:
        """One patient turns out to be on NIH's test list."""
        nih = [row[1] for row in self.rows if row[3] == "nih"]
        listed = nih[int(self.rng.integers(len(nih)))] if nih else ""
        self.rows = [(*row[:4], "test", *row[5:]) if row[1] == listed else row for row in self.rows]

    def split(self, config: SplitConfig) -> tuple[dict[str, str], pl.DataFrame, pl.DataFrame]:
        """(patient -> split now, moves of this time, images with their split)."""
        schema = ["image_id", "patient_id", "study_id", "dataset", "official_split", *PATHOLOGIES]
        frame = pl.DataFrame(self.rows, schema=schema, orient="row", schema_overrides={"official_split": pl.String})
        grouped = frame.join(group_patients(frame, pair_rows(*self.pairs)), on="patient_id")
        placed = assign_patients(
            grouped, grouped, self.memory.assignment, config, generation=self.memory.generation + 1
        )
        self.memory = self.memory.and_then(placed)
        splits = placed.assignment.select("patient_id", pl.col("split").cast(pl.String))
        return dict(splits.iter_rows()), placed.moves, grouped.join(splits, on="patient_id")


@settings(max_examples=4, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_nobody_leaves_test_and_every_move_is_reported_and_stricter(seed: int):
    life, before = Life(np.random.default_rng(seed)), {}
    life.arrive(20)
    for _ in range(ARRIVALS):
        life.arrive(int(life.rng.integers(0, 30)))
        life.leave(float(life.rng.choice([0.0, 0.02, 0.3])))
        life.find_copies(int(life.rng.integers(0, 3)))
        if life.rng.random() < 0.2:
            life.publish_list()
        if not life.rows:
            life.arrive(1)
        now, moves, images = life.split(SplitConfig())
        changed = {p: (was, now[p]) for p, was in before.items() if now[p] != was}
        reported = {p: (str(a), str(b)) for p, a, b in moves.select("patient_id", "moved_from", "moved_to").iter_rows()}
        assert changed == reported
        assert all(SPLITS.index(to) > SPLITS.index(was) for was, to in changed.values())
        assert not {p for p, was in before.items() if was == "test"} & set(changed)
        assert images.group_by("group").agg(pl.col("split").n_unique())["split"].max() == 1
        assert set(images.filter(pl.col("official_split") == "test")["split"]) <= {"test"}
        before = now


@pytest.mark.parametrize("seed", [0, 1])
def test_life_without_links_and_lists_moves_nobody_and_stays_near_its_shares(seed: int):
    life = Life(np.random.default_rng(seed))
    for _ in range(ARRIVALS):
        life.arrive(int(life.rng.integers(1, 40)))
        _, moves, images = life.split(SplitConfig())
        assert moves.is_empty()
    free = images.filter(pl.col("dataset") == "padchest")["split"].value_counts(normalize=True)
    shares = dict(free.iter_rows())
    assert [shares[split] for split in SPLITS] == pytest.approx([0.8, 0.1, 0.1], abs=0.02)
