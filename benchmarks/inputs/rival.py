"""torchxrayvision 1.5.7 as a reader of images: its own code, on scikit-image and imageio or what stands in for them."""

import sys
import types
import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage


def import_torchxrayvision() -> Any:
    """The package; without scikit-image, the two functions of it that read and resize are taken from here."""
    if find_spec("torchxrayvision") is None:
        raise SystemExit("torchxrayvision 1.5.7 is not installed: run this with `make bench`, which installs it.")
    warnings.simplefilter("ignore")
    if find_spec("skimage") is None:
        print("scikit-image is not installed: its imread and resize are its own steps on Pillow and scipy")
        _stand_in_for_scikit_image()
    import torchxrayvision

    return torchxrayvision


def read_by_torchxrayvision(package: Any, path: Path, *, peak: int, size: int, engine: str) -> NDArray[np.float32]:
    """What its data sets do for one item: [1, size, size], -1024 to 1024. The long side is cropped."""
    datasets, utils = package.datasets, package.utils
    if path.suffix == ".dcm":
        image = utils.read_xray_dcm(path)[None]
    else:
        image = utils.normalize(datasets.imread(path), peak, reshape=True)
    return datasets.XRayResizer(size, engine=engine)(datasets.XRayCenterCrop()(image))


def imread(path: Path) -> NDArray[Any]:
    """skimage.io.imread 0.25 for PNG and JPEG: imageio's Pillow plugin."""
    with Image.open(path) as image:
        return np.array(image)


def resize(
    image: NDArray[np.float32], output_shape: tuple[int, ...], *, mode: str, preserve_range: bool
) -> NDArray[np.float32]:
    """skimage.transform.resize 0.25 with its defaults: Gaussian against aliasing, linear zoom, clip to the range.

    skimage/transform/_warps.py, `resize` and `_clip_warp_output`; BSD-3.
    """
    factors = np.divide(image.shape, output_shape)
    smooth = ndimage.gaussian_filter(image, np.maximum(0, (factors - 1) / 2), cval=0, mode=mode)
    zoomed = ndimage.zoom(smooth, 1 / factors, order=1, mode=mode, cval=0, grid_mode=True)
    return np.clip(zoomed, image.min(), image.max())


def _stand_in_for_scikit_image() -> None:
    names = ("imageio", "imageio.v2", "skimage", "skimage.transform", "skimage.io")
    made = {name: types.ModuleType(name) for name in names}
    made["imageio"].__dict__["v2"] = made["imageio.v2"]
    made["skimage"].__dict__.update(transform=made["skimage.transform"], io=made["skimage.io"])
    made["skimage.io"].__dict__["imread"] = imread
    made["skimage.transform"].__dict__["resize"] = resize
    sys.modules.update(made)
