"""Harmonizing the full NIH metadata (112,120 rows) against pandas reading and one-hot encoding the same file.

Needs the data files of torchxrayvision 1.5.7 (`make bench` installs them). Prints medians and their ratio: the machine
decides the seconds, the ratio is what compares.
"""

import gzip
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pandas as pd

from cxr_pipeline.datasets import DATASETS
from cxr_pipeline.labels.harmonize import label_table

RUNS = 7


def main() -> None:
    spec = find_spec("torchxrayvision")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit("torchxrayvision is not installed: run this with `make bench`.")
    packed = Path(spec.submodule_search_locations[0]) / "data" / "Data_Entry_2017_v2020.csv.gz"
    with tempfile.TemporaryDirectory() as folder:
        csv = Path(folder) / "Data_Entry_2017_v2020.csv"
        with gzip.open(packed) as source, csv.open("wb") as target:
            shutil.copyfileobj(source, target)
        ours = median_seconds(lambda: label_table(DATASETS["nih"], Path(folder)))
        theirs = median_seconds(lambda: pd.read_csv(csv)["Finding Labels"].str.get_dummies("|"))
    print(f"cxr_pipeline label_table     {ours:.3f} s (all columns, evidence, validated)")
    print(f"pandas read_csv + dummies    {theirs:.3f} s (labels only)")
    print(f"ratio pandas / cxr_pipeline  {theirs / ours:.1f}")


def median_seconds(call: Callable[[], object]) -> float:
    call()  # warm file cache and lazy imports
    seconds = []
    for _ in range(RUNS):
        started = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)


if __name__ == "__main__":
    main()
