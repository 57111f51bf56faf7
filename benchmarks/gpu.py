"""Training steps on one GPU: ours, fed by the real loader, against timm's own train script settings in the same run.

    python benchmarks/gpu.py [--backbone convnext_large] [--profile]

Prints a Markdown table and exits with 1 when ours is slower. timm's rows get their images for nothing: they lie on the
GPU already, where ours are read from an image store, augmented, copied and normalised.
"""

import argparse
import gc
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import timm
import torch
from timm.loss import BinaryCrossEntropy
from timm.optim import create_optimizer_v2
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from cxr_pipeline.images.store.codecs import encode
from cxr_pipeline.images.store.shards import StoreForm, write_shard
from cxr_pipeline.pathologies import PATHOLOGIES
from cxr_pipeline.training.config import TrainConfig
from cxr_pipeline.training.data.augment import Augmentation
from cxr_pipeline.training.data.batches import Cohort, CohortImages, Loader
from cxr_pipeline.training.network.backbone import build_network
from cxr_pipeline.training.run.learner import LAYOUT, Learner, Part

BATCH = {224: 128, 384: 64}  # images per step
WARM, TIMED = 6, 20  # steps
CLASSES = len(PATHOLOGIES)


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    what: str
    size: int
    images_per_second: float
    memory_gib: float
    first_seconds: float  # until the first steps were done, compilation included
    data_wait: float | None = None  # share of the time that the network waited for pixels


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backbone", default="convnext_large")
    parser.add_argument("--sizes", type=int, nargs="+", default=sorted(BATCH))
    parser.add_argument("--profile", action="store_true", help="list the kernels of our compiled step")
    arguments = parser.parse_args()
    peak = matmul_rate()
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}, timm {timm.__version__}; ", end="")
    print(f"8192 x 8192 bf16 matrix product: {peak / 1e12:.0f} TFLOP/s\n")
    print("| step | pixels | batch | images/s | of the matrix rate | GPU memory | first 6 steps | waited for data |")
    print("|---|---|---|---|---|---|---|---|", flush=True)
    slower = False
    for size in arguments.sizes:
        flops = training_flops(arguments.backbone, size)
        with tempfile.TemporaryDirectory() as folder:
            rows = [print_row(row, flops, peak) for row in measure(arguments.backbone, size, Path(folder))]
        theirs, ours = rows[1].images_per_second, rows[-1].images_per_second
        slower |= ours < max(theirs, rows[0].images_per_second)
        eager = rows[0].images_per_second
        print(f"\n{size} px: {flops / 1e9:.0f} GFLOP per image; ours / timm's settings {ours / eager:.2f}, ", end="")
        print(f"ours / timm's settings compiled {ours / theirs:.2f}\n", flush=True)
    if arguments.profile:
        with tempfile.TemporaryDirectory() as folder:
            print_kernels(arguments.backbone, arguments.sizes[-1], Path(folder))
    return int(slower)


def measure(backbone: str, size: int, folder: Path) -> list[Row]:
    part = noise_part(folder, size, images=BATCH[size] * 40)
    rows = [
        timed_reference(backbone, size, compiled=False),
        timed_reference(backbone, size, compiled=True),
        timed_learner("ours, compile off", config(backbone, size, compile="off"), part),
        timed_learner("ours, compile on, EMA, clipping", config(backbone, size, ema_decay=0.999, clip_norm=1.0), part),
        timed_learner("ours, compile on", config(backbone, size), part),
    ]
    part.loader.close()
    return rows


def config(backbone: str, size: int, **changes: object) -> TrainConfig:
    return TrainConfig(
        backbone=backbone,
        pretrained="",
        image_size=size,
        batch_size=BATCH[size],
        device="cuda",
        **changes,
    )


def timed_reference(backbone: str, size: int, *, compiled: bool) -> Row:
    """timm 1.0's train.py with `--amp --amp-dtype bfloat16 --channels-last --opt adamw --bce-loss [--torchcompile]`."""
    reset()
    device = torch.device("cuda")
    network = timm.create_model(backbone, in_chans=3, num_classes=CLASSES).to(device).to(memory_format=LAYOUT).train()
    optimizer = create_optimizer_v2(network, opt="adamw", lr=5e-5, weight_decay=0.05)
    loss_of = BinaryCrossEntropy()
    pixels = torch.randn(BATCH[size], 3, size, size, device=device).contiguous(memory_format=LAYOUT)
    labels = torch.randint(0, 2, (BATCH[size], CLASSES), device=device).float()
    run = torch.compile(network) if compiled else network

    def step() -> None:
        with torch.autocast("cuda", dtype=torch.bfloat16):
            loss = loss_of(run(pixels), labels)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    seconds, first = timed(step)
    what = "timm's settings, compiled" if compiled else "timm's settings"
    return Row(what, size, BATCH[size] / seconds, memory(), first)


def timed_learner(what: str, config: TrainConfig, part: Part) -> Row:
    reset()
    torch.manual_seed(0)
    learner = Learner(config, build_network(config), torch.device("cuda"))
    steps = learner.train_epoch(part, 1)
    waits: list[float] = []
    seconds, first = timed(lambda: waits.append(next(steps).waited))
    row = Row(
        what, config.image_size, config.batch_size / seconds, memory(), first, sum(waits[-TIMED:]) / (TIMED * seconds)
    )
    steps.close()
    return row


def timed(step: Callable[[], None]) -> tuple[float, float]:
    """(seconds a step, seconds of the first steps)."""
    began = time.perf_counter()
    for _ in range(WARM):
        step()
    torch.cuda.synchronize()
    warm = time.perf_counter()
    for _ in range(TIMED):
        step()
    torch.cuda.synchronize()
    return (time.perf_counter() - warm) / TIMED, warm - began


def print_kernels(backbone: str, size: int, folder: Path) -> None:
    """The kernels that take the most time of our compiled step, milliseconds a step."""
    reset()
    setting = config(backbone, size)
    learner = Learner(setting, build_network(setting), torch.device("cuda"))
    part = noise_part(folder, size, images=BATCH[size] * 12)
    steps = learner.train_epoch(part, 1)
    list(islice(steps, WARM))
    with profile(activities=[ProfilerActivity.CUDA]) as profiled:
        list(islice(steps, 3))
        torch.cuda.synchronize()
    steps.close()
    part.loader.close()
    kernels = sorted(profiled.key_averages(), key=lambda kernel: -kernel.self_device_time_total)
    whole = sum(kernel.self_device_time_total for kernel in kernels)
    print(
        f"Kernels of one step at {size} px, {whole / 3000:.0f} ms in all:\n\n| ms | launches | kernel |\n|---|---|---|"
    )
    for kernel in kernels[:24]:
        print(f"| {kernel.self_device_time_total / 3000:.2f} | {kernel.count // 3} | `{kernel.key[:100]}` |")


def print_row(row: Row, flops: float, peak: float) -> Row:
    wait = "" if row.data_wait is None else f"{row.data_wait:.1%}"
    print(
        f"| {row.what} | {row.size} | {BATCH[row.size]} | {row.images_per_second:,.0f} | "
        f"{row.images_per_second * flops / peak:.1%} | {row.memory_gib:.1f} GiB | {row.first_seconds:.0f} s | {wait} |",
        flush=True,
    )
    return row


def noise_part(folder: Path, size: int, *, images: int) -> Part:
    """A store of noise, which the network learns at the speed of radiographs."""
    rng = np.random.default_rng(0)
    ids = [f"noise/{n:06d}" for n in range(images)]
    store = folder / "noise"
    store.mkdir(parents=True)
    frames = [encode(rng.integers(0, 256, (size, size), dtype=np.uint8), "zstd") for _ in ids]
    write_shard(store / "a.arrow", ids, frames, StoreForm(size), pixel_rules=1)
    index = pa.table({"image_id": ids, "shard": ["a.arrow"] * images, "row": pa.array(range(images), pa.int32())})
    pq.write_table(index, store / "index.parquet")
    labels = rng.integers(0, 2, (images, CLASSES)).astype(np.float32)
    text = np.array(ids, dtype=object)
    cohort = Cohort(
        image_ids=text,
        patient_ids=text,
        datasets=np.array(["noise"] * images, dtype=object),
        splits=np.array(["train"] * images, dtype=object),
        labels=labels,
        shares=np.full_like(labels, np.nan),
        is_phantom=np.ones(images, dtype=bool),
        studies=np.arange(images),
        picture_shares=np.ones(images),
    )
    loader = Loader(CohortImages(cohort, folder), Augmentation(TrainConfig()), workers=8, processes=True)
    return Part(cohort, loader, labels, np.ones_like(labels))


def training_flops(backbone: str, size: int) -> float:
    """Floating-point operations of forward and backward pass for one image: three times the forward pass.

    torch 2.11 counts the backward pass of a depthwise convolution as if it were a dense one, so that is not asked.
    """
    network = timm.create_model(backbone, in_chans=1, num_classes=CLASSES).cuda()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(torch.randn(1, 1, size, size, device="cuda"))
    return 3.0 * counter.get_total_flops()


def matmul_rate() -> float:
    """Operations per second of a large bf16 matrix product: what this card really gives."""
    a, b = (torch.randn(8192, 8192, device="cuda", dtype=torch.bfloat16) for _ in range(2))
    seconds, _ = timed(lambda: _product(a, b))
    return 2 * 8192**3 / seconds


def _product(a: torch.Tensor, b: torch.Tensor) -> None:
    torch.mm(a, b)


def memory() -> float:
    return torch.cuda.max_memory_allocated() / 2**30


def reset() -> None:
    torch.compiler.reset()
    gc.collect()
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    torch.backends.cudnn.benchmark = True
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True


if __name__ == "__main__":
    sys.exit(main())
