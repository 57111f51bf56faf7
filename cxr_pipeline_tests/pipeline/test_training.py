from pathlib import Path

import pytest

from cxr_pipeline.errors import CheckpointError
from cxr_pipeline.pipeline.training import current_checkpoint
from cxr_pipeline.storage.lake import Lake


def test_evaluation_without_a_checkpoint_says_what_to_run(tmp_path: Path):
    with pytest.raises(CheckpointError, match="cxr train"):
        current_checkpoint(Lake(tmp_path))
