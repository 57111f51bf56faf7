"""Where real inputs lie on this machine; skips with the reason where they are absent. None is committed here."""

import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest

SHARED = Path(__file__).parents[2].parent / "shared"


def shared_folder(name: str) -> Path:
    """A folder of real images, such as `nih`."""
    folder = SHARED / "data" / name
    if not folder.is_dir():
        pytest.skip(f"no real images at {folder}")
    return folder


def published_file(name: str) -> Path:
    """A metadata file as published, from the torchxrayvision wheel (which is not imported)."""
    spec = find_spec("torchxrayvision")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        path = Path(folder) / "data" / name
        if path.is_file():
            return path
    pytest.skip(f"no {name}: `pip install --no-deps torchxrayvision==1.5.7` brings it")


def published_nih(folder: Path) -> Path:
    """`folder` with the published NIH entry list (112,120 rows), without lists and images."""
    shutil.copy(published_file("Data_Entry_2017_v2020.csv.gz"), folder)
    return folder


def published_chexpert(folder: Path) -> Path:
    """`folder` with the published CheXpert training CSV (223,414 rows), without images."""
    shutil.copy(published_file("chexpert_train.csv.gz"), folder / "train.csv.gz")
    return folder
