"""Augmented training batches at 384 pixels: ours against PNG files and a torch DataLoader, and torchxrayvision.

The same images, as many workers as cores, one run; each reader starts from its own files in a warm page cache and ends
with what it hands to the device: theirs with floats, ours with bytes, which the device normalises. A line below tells
what it costs to do that here. torchxrayvision decodes the originals anew each epoch, as its users do. CPU seconds count
every process and thread and mean something on a busy machine too; wall seconds do on a quiet one alone.
Below: for how much of a training step of the demo network the CPU waited for pixels.
Run by `make bench`, or `python benchmarks/train_input.py`.
"""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import polars as pl
import torch
from image_store import exhaust, timed, write_store
from inputs.rival import import_torchxrayvision
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from cxr_pipeline.images.store.codecs import CODECS
from cxr_pipeline.pathologies import PATHOLOGIES
from cxr_pipeline.phantom.write import PhantomRequest, write_phantoms
from cxr_pipeline.training.config import TrainConfig
from cxr_pipeline.training.data.augment import augmentation
from cxr_pipeline.training.data.batches import Cohort, CohortImages, Loader
from cxr_pipeline.training.data.sampling import epoch_seeds
from cxr_pipeline.training.network.backbone import build_network, prepare
from cxr_pipeline.training.presets import preset
from cxr_pipeline.training.run.learner import Learner, Part

NIH = Path(__file__).parents[1].parent / "shared" / "data" / "nih"
ENTRIES = "Data_Entry_2017.csv"
SIZE, BATCH, EPOCHS = 384, 64, 4
BAR_PNG, BAR_ORIGINALS = 5.0, 20.0
CORES = len(os.sched_getaffinity(0))


def main() -> None:
    cv2.setNumThreads(1)
    torch.set_num_threads(1)  # the workers are the parallel part, of all readers
    with tempfile.TemporaryDirectory() as folder:
        source = nih_folder(Path(folder))
        images = link_and_shrink(source, Path(folder))
        print(f"{len(images)} images of {source}, {SIZE} x {SIZE}, {CORES} cores\n")
        compare_inputs(Path(folder), source, images)
        compare_demo(Path(folder), images)
        print_waits(Path(folder), images)


def compare_inputs(folder: Path, source: Path, images: np.ndarray) -> None:
    """A line per reader, and whether our default store keeps its bars, by CPU seconds."""
    config = TrainConfig(image_size=SIZE)  # the augmentation of the main recipe
    order = np.concatenate([np.random.default_rng(seed).permutation(len(images)) for seed in range(EPOCHS)])
    png = measure("PNG, RGB, DataLoader", exhaust_png(folder, order, config), len(order))
    once = order[: len(images)]  # at a tenth of a second for an image
    package = import_torchxrayvision()
    write_entries(source, folder)
    originals = {
        engine: measure(f"torchxrayvision, {engine}", exhaust_originals(package, folder, once, engine), len(once))
        for engine in ("cv2", "skimage")
    }
    for codec in CODECS:
        stored = cohort_images(folder / codec, images, codec)
        ours = measure(f"ours, {codec}", exhaust_ours(stored, order, config), len(order))
        print_ratio("PNG", png, ours, BAR_PNG)
        print_ratio("torchxrayvision's cv2", originals["cv2"], ours, 0)
        print_ratio("torchxrayvision", originals["skimage"], ours, BAR_ORIGINALS)
        normalised = measure("ours, floats made here", exhaust_ours(stored, order, config, as_floats=True), len(order))
        print_ratio("PNG", png, normalised, 0)


def compare_demo(folder: Path, images: np.ndarray) -> None:
    """The same against PNG files with the lighter augmentation of the demo."""
    config = preset("demo", image_size=SIZE)
    order = np.concatenate([np.random.default_rng(seed).permutation(len(images)) for seed in range(EPOCHS)])
    png = measure("demo: PNG, RGB, DataLoader", exhaust_png(folder, order, config), len(order))
    for codec in CODECS:
        stored = cohort_images(folder / f"demo-{codec}", images, codec)
        print_ratio(
            "PNG", png, measure(f"demo: ours, {codec}", exhaust_ours(stored, order, config), len(order)), BAR_PNG
        )


def print_ratio(what: str, theirs: tuple[float, float], ours: tuple[float, float], bar: float) -> None:
    cpu, wall = (a / b for a, b in zip(theirs, ours, strict=True))
    print(f"    {what} / ours: {cpu:.1f} by CPU, {wall:.1f} by the wall{'' if cpu >= bar else f'   MISSED: {bar:.0f}'}")


def measure(what: str, call: Any, count: int) -> tuple[float, float]:
    """(CPU, wall) seconds per image, printed."""
    cpu, wall = (seconds / count for seconds in timed(call))
    print(f"{what:28s} {cpu * 1e3:8.2f} CPU ms/image {1 / wall:8.0f} images/s", flush=True)
    return cpu, wall


def exhaust_ours(images: CohortImages, order: np.ndarray, config: TrainConfig, *, as_floats: bool = False) -> Any:
    """Reading and augmenting by the loader of training; on request also what the device does with a batch."""

    seeds = epoch_seeds(len(order), config, epoch=1)

    def run() -> None:
        loader = Loader(images, augmentation(config), workers=CORES)
        for _, pixels in loader.batches(order, batch_size=BATCH, seeds=seeds):
            if as_floats:
                prepare(torch.from_numpy(pixels), image_size=SIZE, mean=0.5, std=0.25)
        loader.close()

    return run


def exhaust_png(folder: Path, order: np.ndarray, config: TrainConfig) -> Any:
    return lambda: exhaust(batches(PngFiles(folder / "png", config), order))


def exhaust_originals(package: Any, folder: Path, order: np.ndarray, engine: str) -> Any:
    """Its own data set, with the two transforms that its documentation names, and the augmentation of its scripts."""
    datasets = package.datasets
    files = datasets.NIH_Dataset(
        str(folder / "originals"),
        csvpath=str(folder / ENTRIES),
        views=["PA", "AP"],
        unique_patients=False,
        transform=transforms.Compose([datasets.XRayCenterCrop(), datasets.XRayResizer(SIZE, engine=engine)]),
        data_aug=transforms.Compose(
            [
                datasets.ToPILImage(),
                transforms.RandomAffine(25, translate=(0.05, 0.05), scale=(0.9, 1.1)),
                transforms.ToTensor(),
            ]
        ),
    )
    return lambda: exhaust(batches(Pictures(files), order))


class Pictures(Dataset):
    """The pictures of a torchxrayvision data set."""

    def __init__(self, files: Any) -> None:
        self.files = files

    def __getitem__(self, number: int) -> Any:
        return self.files[number]["img"]


class PngFiles(Dataset):
    """What training scripts do: each resized file read as three channels, augmented and normalised on the CPU."""

    def __init__(self, folder: Path, config: TrainConfig) -> None:
        import albumentations
        from albumentations.pytorch import ToTensorV2

        self.paths = sorted(folder.iterdir())
        angle, shift, scale = config.rotation_degrees, config.shift, (1 - config.scale, 1 + config.scale)
        side = (0.02, config.dropout_size)
        holes = {"num_holes_range": (1, config.dropout_holes), "hole_height_range": side, "hole_width_range": side}
        self.change = albumentations.Compose(
            [
                albumentations.Affine(rotate=(-angle, angle), translate_percent=(-shift, shift), scale=scale, p=1.0),
                albumentations.RandomBrightnessContrast(config.brightness, config.contrast, p=1.0),
                *([albumentations.CoarseDropout(**holes, p=0.5)] if config.dropout_holes else []),
                albumentations.Normalize(),
                ToTensorV2(),
            ]
        )

    def __getitem__(self, number: int) -> Any:
        picture = cv2.imread(str(self.paths[number]), cv2.IMREAD_COLOR_RGB)
        return self.change(image=picture)["image"]


def batches(files: Dataset, order: np.ndarray) -> Iterator[Any]:
    return iter(DataLoader(files, batch_size=BATCH, sampler=order.tolist(), num_workers=CORES))


def print_waits(folder: Path, images: np.ndarray) -> None:
    """The share of training time in which the demo network, on this CPU, waited for pixels."""
    for size in (preset("demo").image_size, SIZE):
        config = preset("demo", image_size=size, batch_size=32, device="cpu")
        small = np.stack([cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA) for image in images])
        stored = cohort_images(folder / f"wait-{size}", small, "zstd")
        torch.set_num_threads(CORES)
        waited, whole = train_once(config, stored, len(images))
        print(f"demo network at {size} px: waited for pixels for {waited / whole:.1%} of its steps' time")


def train_once(config: TrainConfig, stored: CohortImages, count: int) -> tuple[float, float]:
    """Seconds (waited, in all) of one epoch."""
    torch.manual_seed(0)
    loader = Loader(stored, augmentation(config), workers=config.loader_workers)
    targets = np.zeros((count, len(PATHOLOGIES)), dtype=np.float32)
    part = Part(blank_cohort([str(n) for n in range(count)]), loader, targets, np.ones_like(targets))
    learner = Learner(config, build_network(config), torch.device("cpu"))
    waits: list[float] = []
    _, whole = timed(lambda: waits.extend(step.waited for step in learner.train_epoch(part, 1)))
    loader.close()
    return sum(waits), whole


def cohort_images(folder: Path, images: np.ndarray, codec: str) -> CohortImages:
    write_store(folder / "nih", images, codec)
    return CohortImages(blank_cohort([str(n) for n in range(len(images))]), folder)


def blank_cohort(image_ids: list[str]) -> Cohort:
    """Images of one source of which nothing is known."""
    names = np.array(image_ids, dtype=object)
    unknown = np.full((len(names), len(PATHOLOGIES)), np.nan, dtype=np.float32)
    nih, train = (np.full(len(names), word, dtype=object) for word in ("nih", "train"))
    real, alone = np.zeros(len(names), dtype=bool), np.ones(len(names))
    return Cohort(names, names, nih, train, unknown, unknown, real, np.arange(len(names)), alone)


def nih_folder(scratch: Path) -> Path:
    """Real NIH files where they are, else phantoms of their native size in the same layout, 1 s each."""
    if any(NIH.glob("images_*/images/*.png")):
        return NIH
    write_phantoms(PhantomRequest("nih", patients=40, seed=0, size=1024), scratch / "phantoms")
    return scratch / "phantoms"


def link_and_shrink(source: Path, folder: Path) -> np.ndarray:
    """`originals/`: one flat folder, as torchxrayvision wants it; `png/`: resized files; and the same as an array."""
    for name in ("originals", "png"):
        (folder / name).mkdir()
    images = []
    for path in sorted(source.rglob("*.png")):
        (folder / "originals" / path.name).symlink_to(path)
        whole = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        images.append(cv2.resize(whole, (SIZE, SIZE), interpolation=cv2.INTER_AREA))
        cv2.imwrite(str(folder / "png" / path.name), images[-1])
    return np.stack(images)


def write_entries(source: Path, folder: Path) -> None:
    """The rows of the images that are there: torchxrayvision opens every one that is listed."""
    listed = pl.read_csv(next(source.glob("Data_Entry_2017*.csv")), infer_schema=False)
    there = [path.name for path in (folder / "originals").iterdir()]
    listed.filter(pl.col("Image Index").is_in(there)).write_csv(folder / ENTRIES)


if __name__ == "__main__":
    main()
