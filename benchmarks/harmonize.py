"""Harmonizing the real metadata of five sources: ours, torchxrayvision's constructors, and a pandas row loop.

One process each, the same unzipped files (torchxrayvision unpacks OpenI's archive itself). CPU seconds are the least of
nine runs, threads included; MB is the peak of the process, imports included. The machine decides the seconds, the
ratios compare. Run by `make bench`, or `python benchmarks/harmonize.py`.

`ours` and `torchxrayvision` both go from the published file to labels in memory. Theirs reads the CSV with pandas and
makes one float array by substring; ours also checks every row and cell that is used, keeps ids, view, age, sex and
split, and says for each of the fourteen labels where it comes from. `to Parquet` adds validation and writing, which
they do not do. `parse alone` is pyarrow splitting the same file into cells and keeping one column: the floor.
"""

import ast
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
import types
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from inputs.collections import PUBLISHED, repeat_rows, unpack_published, wheel_data, write_mimic, write_rexgradient

SOURCES = ("nih", "openi", "chexpert", "padchest", "vindr")
RUNS = 9
LABELS = (
    "Atelectasis", "Cardiomegaly", "Consolidation", "Edema", "Effusion", "Emphysema", "Fibrosis", "Hernia",
    "Infiltration", "Mass", "Nodule", "Pleural_Thickening", "Pneumonia", "Pneumothorax",
)  # fmt: skip


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        unpack_published(root)
        compare(root)
        report_total(root)
        report_large(root)
        report_growth(root)


def compare(root: Path) -> None:
    print(
        "source          rows  parse alone s   ours s   MB  to Parquet s   torchxrayvision s   MB   row loop s   "
        "theirs / ours"
    )
    for source in SOURCES:
        ours, written = measure("ours", source, root), measure("written", source, root)
        theirs = measure("torchxrayvision", source, root)
        parsed, loop = (
            measure(who, source, root)["seconds"] if source in PUBLISHED else float("nan") for who in ("parse", "loop")
        )
        print(
            f"{source:10s} {ours['rows']:9,d} {parsed:14.3f} {ours['seconds']:8.3f} {ours['mb']:4.0f} "
            f"{written['seconds']:13.3f} {theirs['seconds']:19.3f} {theirs['mb']:4.0f} {loop:12.2f}   "
            f"{theirs['seconds'] / ours['seconds']:.1f}, loop {loop / ours['seconds']:.0f}"
        )


def report_total(root: Path) -> None:
    total = measure("all", ",".join(SOURCES), root)
    print(f"all five in one process, files to Parquet: {total['seconds']:.2f} s, {total['mb']:.0f} MB")


def report_large(root: Path) -> None:
    for source, write in {"mimic": write_mimic, "rexgradient": write_rexgradient}.items():
        write(root / source)
        made = measure("written", source, root)
        print(f"{source}, made up, {made['rows']:,} rows to Parquet: {made['seconds']:.2f} s, {made['mb']:.0f} MB")


def report_growth(root: Path) -> None:
    """Seconds for 1, 2 and 4 times the rows, as a share of the rows' own growth: 1.0 is linear."""
    renamed = {"nih": rename_nih, "chexpert": lambda row, n: row.replace("/patient", f"/patient{n + 1}", 1)}
    for source, rename in renamed.items():
        seconds = []
        for times in (1, 2, 4):
            grown = root / f"times-{times}"
            repeat_rows(root / source / PUBLISHED[source][1], grown / source / PUBLISHED[source][1], times, rename)
            seconds.append(measure("ours", source, grown)["seconds"])
        steps = ", ".join(
            f"x{n}: {s:.2f} s ({s / seconds[0] / n:.2f})" for n, s in zip((1, 2, 4), seconds, strict=True)
        )
        print(f"growth of {source}: {steps}")


def rename_nih(row: str, time: int) -> str:
    """The same row of a patient 40,000 numbers further, who is not in the release."""
    cells = row.split(",")
    patient = int(cells[3]) + time * 40_000
    return ",".join([f"{patient:08d}{cells[0][8:]}", *cells[1:3], str(patient), *cells[4:]])


def measure(who: str, source: str, root: Path) -> dict[str, Any]:
    """`seconds` of CPU, `mb` at the peak, `rows`: what this program finds when it runs as a process of its own."""
    command = [sys.executable, __file__, who, source, str(root)]
    # One thread each, as pandas has: the waiting of polars' threads for each other would count as our work.
    one_thread = {**os.environ, "POLARS_MAX_THREADS": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=one_thread)
    if done.returncode:
        raise SystemExit(f"{who} {source} failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def run_process(who: str, source: str, root: Path) -> None:
    makers = {"parse": parse, "ours": ours, "written": write, "all": write_all, "torchxrayvision": theirs, "loop": loop}
    call = makers[who](source, root)
    seconds, rows = [], 0
    for _ in range(1 if who == "loop" else RUNS):
        started = time.process_time()
        rows = call()
        seconds.append(time.process_time() - started)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": min(seconds), "mb": peak, "rows": rows}))


def parse(source: str, root: Path) -> Callable[[], int]:
    from pyarrow import csv, string

    file = root / source / PUBLISHED[source][1]
    width = len(csv.open_csv(file).schema) if source != "nih" else 11  # whose header has two commas within names
    names = [str(column) for column in range(width)]
    reading = csv.ReadOptions(column_names=names, skip_rows=1, use_threads=False)
    cells = csv.ConvertOptions(column_types={"0": string()}, include_columns=["0"])
    newlines = csv.ParseOptions(newlines_in_values=source == "padchest")
    return lambda: csv.read_csv(file, reading, newlines, cells).num_rows


def ours(source: str, root: Path) -> Callable[[], int]:
    from cxr_pipeline.datasets import DATASETS
    from cxr_pipeline.labels.harmonize import label_table

    return lambda: label_table(DATASETS[source], root / source).table.height


def write(source: str, root: Path) -> Callable[[], int]:
    from cxr_pipeline.datasets import DATASETS
    from cxr_pipeline.labels.harmonize import label_table
    from cxr_pipeline.storage.lake import write_table
    from cxr_pipeline.tables.labels import LabelTable

    file = root / "lake" / f"{source}.parquet"
    return lambda: write_table(file, label_table(DATASETS[source], root / source).table, LabelTable).height


def write_all(sources: str, root: Path) -> Callable[[], int]:
    calls = [write(source, root) for source in sources.split(",")]
    return lambda: sum(call() for call in calls)


def theirs(source: str, root: Path) -> Callable[[], int]:
    datasets = import_torchxrayvision()
    every = {"views": "*", "unique_patients": False}
    file = root / source / PUBLISHED[source][1] if source in PUBLISHED else None
    made = {
        "nih": lambda: datasets.NIH_Dataset(str(root), csvpath=str(file), **every),
        "openi": lambda: datasets.Openi_Dataset(str(root), **every),
        "chexpert": lambda: datasets.CheX_Dataset(str(root), csvpath=str(file), **every),
        "padchest": lambda: datasets.PC_Dataset(str(root), csvpath=str(file), **every),
        "vindr": lambda: datasets.VinDr_Dataset(str(root), csvpath=str(file)),
    }
    return lambda: len(made[source]())


def import_torchxrayvision() -> Any:
    """Its `datasets`; imageio and scikit-image, which only read pixels, may be missing."""
    wheel_data()
    for name in ("imageio", "imageio.v2", "skimage", "skimage.transform", "skimage.io"):
        module = types.ModuleType(name)
        module.__dict__["imread"] = None
        sys.modules[name] = module
    sys.modules["imageio"].__dict__["v2"] = sys.modules["imageio.v2"]
    sys.modules["skimage"].__dict__["transform"] = sys.modules["skimage.transform"]
    warnings.simplefilter("ignore")
    from torchxrayvision import datasets

    return datasets


def loop(source: str, root: Path) -> Callable[[], int]:
    """What scripts in the wild do: one pass of Python per row, labels alone."""
    import pandas as pd

    words: dict[str, Callable[[Any], Sequence[str]]] = {
        "nih": lambda row: row["Finding Labels"].split("|"),
        "chexpert": lambda row: [name for name in LABELS if row.get(name) == 1],
        "padchest": lambda row: ast.literal_eval(row["Labels"]) if row["Labels"] == row["Labels"] else [],
        "vindr": lambda row: [row["class_name"]],
    }

    def label() -> int:
        rows = []
        for _, row in pd.read_csv(root / source / PUBLISHED[source][1], low_memory=False).iterrows():
            said = {word.strip().lower() for word in words[source](row)}
            rows.append([int(name.lower() in said) for name in LABELS])
        return len(pd.DataFrame(rows, columns=list(LABELS)))

    return label


if __name__ == "__main__":
    if len(sys.argv) == 4:
        run_process(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
    else:
        main()
