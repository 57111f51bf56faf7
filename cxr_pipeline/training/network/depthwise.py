"""Depthwise convolutions with a quicker gradient. On an H100 the library's own is the slowest kernel of a ConvNeXt."""

from typing import Any

import torch
from torch import nn
from torch.autograd.function import once_differentiable


class QuickDepthwise(nn.Conv2d):
    """A depthwise convolution of stride 1 that keeps the size: same weights, same result as `nn.Conv2d`.

    Its gradient for the input is itself such a convolution, with the kernel turned by 180 degrees. cuDNN's forward
    kernel computes it in half the time of its gradient kernel (bf16, 7 x 7, H100: 7.4 against 16.1 ms for the 36
    layers of ConvNeXt-Large on 128 images of 224 pixels).
    """

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        assert self.bias is not None
        kind = input.device.type
        dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else input.dtype
        output: torch.Tensor = _Depthwise.apply(input.to(dtype), self.weight.to(dtype), self.bias.to(dtype))
        return output


def quicken_depthwise(network: nn.Module) -> int:
    """Gives every depthwise convolution of `network` that allows it the quicker gradient, in place; how many."""
    found = [
        (parent, name, child)
        for parent in network.modules()
        for name, child in parent.named_children()
        if type(child) is nn.Conv2d and _is_quickened(child)
    ]
    for parent, name, child in found:
        setattr(parent, name, _quicken(child))
    return len(found)


def _is_quickened(conv: nn.Conv2d) -> bool:
    keeps_size = conv.padding == tuple(side // 2 for side in conv.kernel_size) and all(k % 2 for k in conv.kernel_size)
    is_depthwise = conv.groups == conv.in_channels == conv.out_channels > 1
    is_plain = conv.stride == conv.dilation == (1, 1) and conv.padding_mode == "zeros" and conv.bias is not None
    return keeps_size and is_depthwise and is_plain


def _quicken(conv: nn.Conv2d) -> QuickDepthwise:
    height, width = conv.kernel_size
    channels = conv.in_channels
    quick = QuickDepthwise(
        channels, channels, (height, width), padding=(height // 2, width // 2), groups=channels, device="meta"
    )
    quick.weight, quick.bias = conv.weight, conv.bias
    return quick.train(conv.training)


class _Depthwise(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, input: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(input, weight)
        return torch.conv2d(input, weight, bias, padding=_same(weight), groups=len(weight))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, ...]:
        input, weight = ctx.saved_tensors
        padding, channels = _same(weight), len(weight)
        of_input = torch.conv2d(gradient, weight.flip(2, 3), None, padding=padding, groups=channels)
        _, of_weight, of_bias = torch.ops.aten.convolution_backward(
            gradient, input, weight, [channels], [1, 1], padding, [1, 1], False, [0, 0], channels, [False, True, True]
        )
        return of_input, of_weight, of_bias


def _same(weight: torch.Tensor) -> list[int]:
    return [weight.shape[2] // 2, weight.shape[3] // 2]
