"""What it costs to notice new files: looks of the sensor at seven sources with 1.2 million empty files.

Each look is one tick of the sensor. First looks until all is known, idle looks of a whole round, a look after 312
arrivals and how many until they are seen; then idle looks with 2 ms added to every stat and listing, as over NFS.
Run by `make bench`, or `python benchmarks/automation.py [--files N] [--folder DIR]`.
"""

import argparse
import os
import resource
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

from cxr_pipeline.watch import Budget, Disk, Look, look_at_all

IDLE_CPU_SECONDS, WALL_SECONDS = 1.0, 30.0  # the bars
STAT_SECONDS = 0.002
ARRIVALS = 312
REAL = Disk()
SHARES = {  # published images
    "nih": 112_120,
    "openi": 7_470,
    "rexgradient": 273_004,
    "chexpert": 224_316,
    "mimic": 377_110,
    "padchest": 160_861,
    "vindr": 18_000,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=1_200_000)
    parser.add_argument("--folder", type=Path, help="where the tree is made, and removed again; a temporary one")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="watch-", dir=options.folder))
    try:
        report(folder, options.files)
    finally:
        shutil.rmtree(folder)


def report(folder: Path, files: int) -> None:
    started = time.monotonic()
    roots = {name: folder / "sources" / name for name in SHARES}
    for name, share in SHARES.items():
        make(roots[name], LAYOUTS[name], round(files * share / sum(SHARES.values())))
    print(f"tree made in {time.monotonic() - started:.0f} s")
    memory = folder / "memory"
    print("\nlook                       looks   CPU s: sum     max   wall s: max   MiB")
    looks = report_looks("first", memory, roots, Disk(), is_done=is_known)
    count = sum(look.files for look in looks.values())
    print(f"  {count:,} files in {sum(look.folders for look in looks.values()):,} folders")
    time.sleep(3)  # until the last file is no longer young
    report_looks("settling", memory, roots, Disk(), is_done=is_complete)
    idle = report_round("idle", memory, roots, Disk())
    report_arrivals(memory, roots)
    slow = report_round("idle, 2 ms per stat", memory, roots, slow_disk())
    size = sum(path.stat().st_size for path in memory.rglob("*.sqlite")) / 2**20
    print(f"\nmemory on disk {size:.0f} MiB; bars: idle <= {IDLE_CPU_SECONDS:g} s CPU, no look over {WALL_SECONDS:g} s")
    kept = max(idle[0], slow[0]) <= IDLE_CPU_SECONDS and max(idle[1], slow[1]) <= WALL_SECONDS
    print("kept" if kept else "NOT KEPT")


def report_looks(
    title: str, memory: Path, roots: dict[str, Path], disk: Disk, *, is_done: Callable[[dict[str, Look]], bool]
) -> dict[str, Look]:
    """Looks until `is_done`, in one line."""
    costs: list[tuple[float, float]] = []
    looks: dict[str, Look] = {}
    while not looks or not is_done(looks):
        looks, cost = measure(memory, roots, disk)
        costs.append(cost)
    print_costs(title, costs)
    return looks


def report_round(title: str, memory: Path, roots: dict[str, Path], disk: Disk) -> tuple[float, float]:
    """Ten looks; the most CPU and wall seconds of one."""
    costs = [measure(memory, roots, disk)[1] for _ in range(10)]
    print_costs(title, costs)
    return max(cpu for cpu, _ in costs), max(wall for _, wall in costs)


def report_arrivals(memory: Path, roots: dict[str, Path]) -> None:
    """Two of three in folders that hold files already, which have their turn; the others in new ones."""
    since = {name: look.sequence for name, look in measure(memory, roots, Disk())[0].items()}
    root = roots["mimic"]
    studies = sorted({path.parent for path, _ in zip(root.rglob("*.jpg"), range(ARRIVALS), strict=False)})
    for n in range(ARRIVALS):
        study = studies[n % len(studies)] if n % 3 else root / f"files/p19/p199{n:05d}/s{n:08d}"
        study.mkdir(parents=True, exist_ok=True)
        (study / f"new{n}.jpg").touch()
    seen: list[int] = []
    costs: list[tuple[float, float]] = []
    while not seen or seen[-1] < ARRIVALS:
        looks, cost = measure(memory, roots, Disk(), since)
        costs.append(cost)
        seen.append(looks["mimic"].changes.new)
    print_costs(f"after {ARRIVALS} arrivals", costs)
    print(f"  the first of these looks saw {seen[0]}")


def measure(
    memory: Path, roots: dict[str, Path], disk: Disk, since: dict[str, int] | None = None
) -> tuple[dict[str, Look], tuple[float, float]]:
    wall, cpu = time.monotonic(), time.process_time()
    looks = look_at_all(memory, roots, budget=Budget(), since=since, disk=disk)
    return looks, (time.process_time() - cpu, time.monotonic() - wall)


def print_costs(title: str, costs: list[tuple[float, float]]) -> None:
    mebibytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
    cpu, wall = [cost[0] for cost in costs], [cost[1] for cost in costs]
    print(
        f"{title:26s} {len(costs):5d} {sum(cpu):12.1f} {max(cpu):8.2f} {max(wall):12.1f} {mebibytes:6.0f}", flush=True
    )


def is_known(looks: dict[str, Look]) -> bool:
    """All but what is too young."""
    return all(look.files and look.spent.work_cpu_seconds < 0.2 for look in looks.values())


def is_complete(looks: dict[str, Look]) -> bool:
    return all(look.is_complete for look in looks.values())


def slow_disk() -> Disk:
    def stat(path: bytes) -> os.stat_result:
        time.sleep(STAT_SECONDS)
        return REAL.stat(path)

    def scan(path: bytes) -> AbstractContextManager[Iterator[os.DirEntry[bytes]]]:
        time.sleep(STAT_SECONDS)
        return REAL.scan(path)

    return Disk(stat=stat, scan=scan)


def make(root: Path, layout: Callable[[int], Iterator[str]], files: int) -> None:
    root.mkdir(parents=True)
    (root / "labels.csv").write_text("image,label\n1,2\n", encoding="utf-8")
    made = ""
    for name in layout(files):
        folder, _, _ = name.rpartition("/")
        if folder != made:
            (root / folder).mkdir(parents=True, exist_ok=True)
            made = folder
        os.close(os.open(root / name, os.O_CREAT | os.O_WRONLY))


def lay_nih(files: int) -> Iterator[str]:
    return (f"images_{1 + n * 12 // files:03d}/images/{n:08d}_000.png" for n in range(files))


def lay_openi(files: int) -> Iterator[str]:
    yield from (f"ecgen-radiology/{n}.xml" for n in range(files // 2))
    yield from (f"NLMCXR_png/CXR{n}_IM-{n:04d}-1001.png" for n in range(files // 2))


def lay_rexgradient(files: int) -> Iterator[str]:
    """Two of five images share their study with another."""
    uid = "1.2.826.0.1.3680043.8.498"
    for n in range(files):
        study = n * 3 // 5
        folder = f"deid_png/GRDN{study * 2 // 3:015d}/GRDN{study:015d}/studies/{uid}.{study:020d}"
        yield f"{folder}/series/{uid}.{n:020d}/instances/{uid}.{n:020d}.png"


def lay_chexpert(files: int) -> Iterator[str]:
    for n in range(files):
        study = n * 5 // 6
        yield f"train/patient{study // 3:05d}/study{study % 3 + 1}/view{n}_frontal.jpg"


def lay_mimic(files: int) -> Iterator[str]:
    for n in range(files):
        study = n * 3 // 5
        patient = study * 2 // 7
        yield f"files/p{10 + patient % 10}/p1{patient:07d}/s5{study:07d}/{n:08x}-0000-0000-0000.jpg"


def lay_padchest(files: int) -> Iterator[str]:
    return (f"{n * 54 // files}/{n:020d}_00-000-000.png" for n in range(files))


def lay_vindr(files: int) -> Iterator[str]:
    return (f"{'test' if n % 6 == 0 else 'train'}/{n:032x}.dicom" for n in range(files))


LAYOUTS: dict[str, Callable[[int], Iterator[str]]] = {
    "nih": lay_nih,
    "openi": lay_openi,
    "rexgradient": lay_rexgradient,
    "chexpert": lay_chexpert,
    "mimic": lay_mimic,
    "padchest": lay_padchest,
    "vindr": lay_vindr,
}

if __name__ == "__main__":
    main()
