"""The split of seven collections: real metadata of five, made-up ones of MIMIC and ReXGradient in the true form.

Every frontal image is taken to be stored. What `cxr split` does after the search for copies (`duplicates.py`) runs as
a process of its own: CPU seconds with imports, reading and checking all tables, and the peak of its memory. Then, on
the same images: how far each class is from its prevalence, and how many test images have their patient in train, when
all images are placed without published lists. Run by `make bench`, or `python benchmarks/split.py`.
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl
from inputs.collections import unpack_published, write_mimic, write_rexgradient

SECONDS, GIGABYTES = 10.0, 3.0  # the bars
TEST_SHARE = 0.1  # SplitConfig's default


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        lake, sources = Path(folder) / "lake", Path(folder) / "sources"
        report_inputs(lake, sources)
        report_cost(lake)
        report_deviations(lake)
        report_leakage(lake)


def report_inputs(lake: Path, sources: Path) -> None:
    unpack_published(sources)
    write_mimic(sources / "mimic")
    write_rexgradient(sources / "rexgradient")
    counts = write_tables(lake, sources)
    print("published images: " + ", ".join(f"{name} {count:,}" for name, count in counts.items()))
    print(f"together {sum(counts.values()):,}")


def write_tables(root: Path, sources: Path) -> dict[str, int]:
    """`labels/<source>` and an index that holds every frontal image; the number of published images."""
    from cxr_pipeline.datasets import DATASETS
    from cxr_pipeline.labels.reports.tables import label_source
    from cxr_pipeline.pipeline.images import index_path
    from cxr_pipeline.storage.lake import Lake, write_table
    from cxr_pipeline.tables.images import StoreIndex
    from cxr_pipeline.tables.labels import LabelTable
    from cxr_pipeline.tables.raw import FRONTAL_VIEWS

    lake, counts = Lake(root), {}
    for name, dataset in DATASETS.items():
        table = label_source(dataset, sources / name).table
        frontal = table.filter(pl.col("view").is_in(FRONTAL_VIEWS))
        write_table(lake.table("labels", name), table, LabelTable)
        write_table(index_path(lake, name), stored(frontal), StoreIndex)
        counts[name] = table.height
    return counts


def stored(images: pl.DataFrame) -> pl.DataFrame:
    """A StoreIndex of made-up pixels; what the split does not read is null."""
    from cxr_pipeline.tables.images import StoreIndex

    filled = images.select("image_id").with_columns(
        shard=pl.lit("shard-00000.arrow"),
        row=pl.int_range(pl.len(), dtype=pl.Int32),
        source_path=pl.col("image_id") + ".png",
        source_bytes=100_000,
        source_digest=pl.lit("0" * 64),
        dhash=pl.lit(b"\0" * 32),
        mean=120.0,
        spread=50.0,
    )
    absent = [name for name in StoreIndex.column_names() if name not in filled.columns]
    return filled.with_columns(pl.lit(None).alias(name) for name in absent)


def report_cost(lake: Path) -> None:
    print("\nsplit/cohort, in a process of its own           CPU s      GB   images")
    for title, arguments in {
        "first time, balanced": ["balanced", "over"],
        "again, everyone known": ["balanced", "on"],
        "hash": ["hash", "over"],
    }.items():
        cost = measure(lake, *arguments)
        print(f"{title:46s} {cost['seconds']:6.2f}  {cost['gigabytes']:6.2f}  {cost['images']:,}")
    print(f"bars: {SECONDS:g} s, {GIGABYTES:g} GB")


def measure(lake: Path, *arguments: str) -> dict[str, float]:
    command = [sys.executable, __file__, str(lake), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(arguments)} failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def run_process(lake: Path, assignment: str, start: str) -> None:
    from cxr_pipeline.pipeline.split import write_cohort
    from cxr_pipeline.split.config import SplitConfig
    from cxr_pipeline.storage.lake import Lake

    config = SplitConfig.model_validate({"assignment": assignment})
    made = write_cohort(Lake(lake), config, start_over=start == "over")
    used = resource.getrusage(resource.RUSAGE_SELF)
    cost = {"seconds": time.process_time(), "gigabytes": used.ru_maxrss / 2**20, "images": made.table.height}
    print(json.dumps(cost))


def report_deviations(lake: Path) -> None:
    """Of classes with 50 positives; every source as if nothing were published (`hashed`): all places are ours."""
    print("\nlargest deviation of a class's prevalence in val and test from that of its source")
    print("source        balanced                    hash")
    placed = {how: place_all(lake, how) for how in ("balanced", "hash")}
    for source in placed["hash"]["dataset"].unique().sort():
        cells = [describe_deviation(table.filter(pl.col("dataset") == source)) for table in placed.values()]
        print(f"{source:12s}  {cells[0]:26s}  {cells[1]}")


def place_all(lake: Path, how: str) -> pl.DataFrame:
    from cxr_pipeline.datasets import DATASETS
    from cxr_pipeline.pipeline.split import write_cohort
    from cxr_pipeline.split.config import SplitConfig
    from cxr_pipeline.storage.lake import Lake

    config = SplitConfig.model_validate({"assignment": how, "hashed": list(DATASETS)})
    return write_cohort(Lake(lake), config, start_over=True).table


def describe_deviation(images: pl.DataFrame) -> str:
    from cxr_pipeline.split.summary import ALL, summarize_splits, tabulate_deviations

    table = tabulate_deviations(summarize_splits(images)).filter(pl.col("dataset") != ALL, pl.col("positives") >= 50)
    if table.is_empty():
        return "n/a"
    worst = table.sort("largest_deviation").row(-1, named=True)
    return f"{100 * worst['largest_deviation']:5.1f} % {worst['pathology']}"


def report_leakage(lake: Path) -> None:
    """How many test images have their patient in train, and what else the ways of splitting differ in."""
    images = place_all(lake, "balanced")
    print("\nall images as one          test images   patient also in train      %   largest deviation in test")
    for title, (train, test) in split_ways(images).items():
        trained = images[train]["patient_id"].unique()
        leaked = images[test]["patient_id"].is_in(trained.implode()).sum()
        print(f"{title:26s} {len(test):11,d} {leaked:23,d} {100 * leaked / len(test):6.1f}   {worst(images, test)}")


def split_ways(images: pl.DataFrame) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Way -> rows of train and of test."""
    from sklearn.model_selection import GroupShuffleSplit, train_test_split

    rows, split = np.arange(images.height), images["split"].cast(pl.String).to_numpy()
    patients = images["patient_id"].rank("dense").to_numpy()
    group = GroupShuffleSplit(n_splits=1, test_size=TEST_SHARE, random_state=0)
    return {
        "balanced": (rows[split == "train"], rows[split == "test"]),
        "GroupShuffleSplit": next(group.split(rows, groups=patients)),
        "random over images": tuple(train_test_split(rows, test_size=TEST_SHARE, random_state=0)),
    }


def worst(images: pl.DataFrame, test: np.ndarray) -> str:
    """The class whose prevalence in test is furthest from its source's, of those with 50 positives in the source."""
    is_test = pl.Series(np.isin(np.arange(images.height), test))
    split = pl.when(is_test).then(pl.lit("test")).otherwise(pl.lit("train"))
    return describe_deviation(images.with_columns(split=split))


if __name__ == "__main__":
    if len(sys.argv) == 4:
        run_process(Path(sys.argv[1]), sys.argv[2], sys.argv[3])
    else:
        main()
