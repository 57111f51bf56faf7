"""The last layer in full precision. Which sources' heads there are, and who has a say, is in `backbone`."""

import torch
from torch import nn


class ExactHead(nn.Linear):
    """A linear layer that computes in float32 within autocast too: same weights, logits that are not rounded.

    bf16 has 8 significant bits, so that near scores become equal, and ties move an AUROC and a threshold. The product
    is too small to cost time.
    """

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        kind = input.device.type
        if not torch.is_autocast_enabled(kind):  # nor would an exporter know what to do with the context below
            return super().forward(input.float())
        with torch.autocast(kind, enabled=False):
            return super().forward(input.float())


def make_exact(network: nn.Module, head: nn.Linear) -> None:
    """Puts an ExactHead with the parameters of `head` in its place within `network`."""
    exact = ExactHead(head.in_features, head.out_features, device="meta")
    exact.weight, exact.bias = head.weight, head.bias
    exact.train(head.training)
    for parent in list(network.modules()):
        for name, child in parent.named_children():
            if child is head:
                setattr(parent, name, exact)
