"""Whether stored pictures are large enough for a network. How they are resized to fit it is in `network.backbone`."""

from cxr_pipeline.errors import StoreError
from cxr_pipeline.training.data.batches import CohortImages


def check_size(images: CohortImages, image_size: int) -> None:
    """Raises StoreError when a network of `image_size` pixels would see less than the files hold.

    That is when it wants more pixels than are stored, unless no picture was shrunk to fit into its store.
    """
    shrunk = images.count_shrunk() if image_size > images.size else 0
    if shrunk:
        raise StoreError(
            f"The network wants {image_size} x {image_size} pixels (image_size), the stores of "
            f"{', '.join(images.sources)} hold {images.size} x {images.size}, to which {shrunk} of {len(images)} "
            f"images were shrunk: enlarging them brings nothing back. Set CXR_IMAGE_SIZE={image_size} and make images "
            f"and split again, or train at what is there with `--set image_size={images.size // 16 * 16}`."
        )
