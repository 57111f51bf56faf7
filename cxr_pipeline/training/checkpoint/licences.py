"""What a checkpoint owes to what it was made from. The terms themselves are stated with the sources, in `datasets`."""

from collections.abc import Mapping
from typing import Any

from torch import nn

from cxr_pipeline.training.config import TrainConfig
from cxr_pipeline.training.data.batches import Cohort

NOT_STATED = "not stated"


def inherited_licences(stated: Mapping[str, str], train: Cohort, network: nn.Module, config: TrainConfig) -> list[str]:
    """`<name>: <licence>` of every source with a training image of a person, and of the starting weights, sorted.

    `stated` is dataset -> licence; a source that it leaves out is listed as NOT_STATED, never in silence. Rendered
    phantoms owe nothing. The licence of the hub's weights is that of timm's own entry for the backbone; that of a file
    is not known.
    """
    sources = sorted(set(train.datasets[~train.is_phantom]))
    owed = [f"{source}: {stated.get(source, NOT_STATED)}" for source in sources]
    file = config.weights_file()
    if file:
        owed.append(f"{file.name}: {NOT_STATED}")
    elif config.pretrained:
        entry: Any = network.pretrained_cfg
        owed.append(f"{config.backbone}: {entry.get('license') or NOT_STATED}")
    return owed
