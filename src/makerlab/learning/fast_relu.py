"""Rectified layers around the large matrix products: one pass over the numbers instead of two."""

from typing import Any

import numpy.typing as npt
import torch
from torch import Tensor

from makerlab.compiling import kept

Array = npt.NDArray[Any]
_relu_backward = torch.ops.aten.threshold_backward.grad_input


def add_bias_and_rectify(hidden: Tensor, bias: Tensor) -> None:
    """Set hidden, shape (K, batch, width), to max(hidden + bias, 0); NaN stays NaN."""
    if hidden.device.type == "cpu":
        _add_bias_and_rectify(hidden.numpy(), bias.numpy())
    else:
        hidden.add_(bias).relu_()


def through_rectifier(delta: Tensor, hidden: Tensor, bias_gradient: Tensor | None) -> None:
    """Set the gradient to zero where the unit was silent; its sum over the batch is the bias's."""
    if bias_gradient is None:
        _relu_backward(delta, hidden, 0, grad_input=delta)
    elif delta.device.type == "cpu":
        _through_rectifier(delta.numpy(), hidden.numpy(), bias_gradient.numpy())
    else:
        _relu_backward(delta, hidden, 0, grad_input=delta)
        torch.sum(delta, 1, keepdim=True, out=bias_gradient)


@kept
def _add_bias_and_rectify(hidden: Array, bias: Array) -> None:
    zero = hidden.dtype.type(0)
    for k in range(hidden.shape[0]):
        for i in range(hidden.shape[1]):
            for j in range(hidden.shape[2]):
                value = hidden[k, i, j] + bias[k, 0, j]
                hidden[k, i, j] = zero if value < 0 else value


@kept
def _through_rectifier(delta: Array, hidden: Array, bias_gradient: Array) -> None:
    zero = delta.dtype.type(0)
    for k in range(delta.shape[0]):
        bias_gradient[k] = zero
        for i in range(delta.shape[1]):
            for j in range(delta.shape[2]):
                value = delta[k, i, j] if hidden[k, i, j] > 0 else zero
                delta[k, i, j] = value
                bias_gradient[k, 0, j] += value
