from dataclasses import asdict

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cxr_pipeline.errors import StoreError
from cxr_pipeline.images.decode.letterbox import letterbox
from cxr_pipeline.training.data.batches import CohortImages, read_cohort
from cxr_pipeline.training.data.sizes import check_size
from cxr_pipeline_tests.training.tiny import write_cohort, write_store


def stored_images(folder, originals, *, size=64):
    """Images of `originals`, (height, width) of each file, stored at `size`; None where the index does not know."""
    ids = [f"nih/{n}" for n in range(len(originals))]
    write_store(folder / "nih", ids, np.zeros((len(ids), size, size), np.uint8))
    places = [None if sides is None else asdict(letterbox(*sides, size=size)) for sides in originals]
    index = pq.read_table(folder / "nih" / "index.parquet")
    own = [places[ids.index(image_id)] for image_id in index["image_id"].to_pylist()]
    pq.write_table(index.append_column("transform", pa.array(own)), folder / "nih" / "index.parquet")
    write_cohort(folder / "c.parquet", ids, labels=[[0] * 14] * len(ids))
    return CohortImages(read_cohort(folder / "c.parquet"), folder)


@pytest.mark.parametrize(
    ("originals", "shrunk"), [([(2048, 1800), (64, 60)], 1), ([(70, 64)] * 3, 3), ([None, (64, 64)], 1)]
)
def test_larger_inputs_than_the_store_holds_are_refused_with_both_sizes(tmp_path, originals, shrunk):
    images = stored_images(tmp_path, originals)
    check_size(images, 64)
    check_size(images, 32)
    told = f"224 x 224 .* 64 x 64, to which {shrunk} of {len(originals)} .*CXR_IMAGE_SIZE=224 .*image_size=64"
    with pytest.raises(StoreError, match=told):
        check_size(images, 224)


def test_pictures_that_were_never_shrunk_may_be_enlarged(tmp_path):
    check_size(stored_images(tmp_path, [(64, 64), (48, 64), (30, 20)]), 224)


def test_a_store_that_does_not_say_what_it_was_made_from_may_not_be_enlarged(inputs):
    images = CohortImages(read_cohort(inputs.cohort), inputs.images)
    with pytest.raises(StoreError, match="chexpert, nih hold 32 x 32, to which 96 of 96"):
        check_size(images, 64)
