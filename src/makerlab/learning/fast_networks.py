"""Stacks of equal ReLU networks on flat parameters, with gradients derived by hand.

K networks of one shape (the two critics, or the actor alone) are computed together by batched
matrix products. All their parameters lie in one flat tensor, layer by layer, so that an optimizer
step is one call. Activations go into preallocated buffers; nothing here allocates or records.

Hidden activations have shape (K, batch, width). Outputs are few, so they are kept transposed,
(K, outputs, batch): the matrix product is several times faster that way round.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor

from makerlab.learning.fast_relu import add_bias_and_rectify, through_rectifier

Sizes = tuple[int, ...]
# Below this many weights, rounding costs more than it saves.
_LARGE = 128 * 128

_MKLDNN: Any = torch.backends.mkldnn


class Layer(NamedTuple):
    """Views of one layer in a flat tensor, of its parameters or of their gradients."""

    weight: Tensor  # (K, outputs, inputs)
    weight_transposed: Tensor  # (K, inputs, outputs)
    bias: Tensor  # (K, 1, outputs), of the last layer (K, outputs, 1)
    rounded: bool  # whether its large products round their factors to bfloat16


class _Factors:
    """While entered, torch's products on the CPU round single-precision factors to bfloat16."""

    def __enter__(self) -> None:
        self._before = _MKLDNN.matmul.fp32_precision
        _MKLDNN.matmul.fp32_precision = "bf16"

    def __exit__(self, *_: object) -> None:
        _MKLDNN.matmul.fp32_precision = self._before


_ROUNDED = _Factors()
_EXACT: AbstractContextManager[None] = nullcontext()


def _factors(rounded: bool) -> AbstractContextManager[None]:
    return _ROUNDED if rounded else _EXACT


def can_round() -> bool:
    """Return whether torch and the processor multiply in bfloat16 faster than in float32."""
    supported = hasattr(_MKLDNN, "matmul")
    return supported and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def parameter_count(networks: int, sizes: Sizes) -> int:
    """Return how many numbers K networks of these layer sizes (inputs first) have."""
    return networks * sum((inputs + 1) * outputs for inputs, outputs in pairwise(sizes))


def layers_of(flat: Tensor, networks: int, sizes: Sizes, *, rounded: bool = False) -> list[Layer]:
    """Return a flat tensor's views, layer by layer: all K weights, then all K biases.

    `rounded` lets products between wide hidden layers, which are nearly all the work, round their
    factors to bfloat16; sums, results, observations and outputs stay in single precision.
    """
    layers = []
    position = 0
    for number, (inputs, outputs) in enumerate(pairwise(sizes), start=1):
        middle = position + networks * outputs * inputs
        end = middle + networks * outputs
        weight = flat[position:middle].view(networks, outputs, inputs)
        last = number == len(sizes) - 1
        bias = flat[middle:end].view((networks, outputs, 1) if last else (networks, 1, outputs))
        large = number > 1 and not last and inputs * outputs >= _LARGE
        layers.append(Layer(weight, weight.mT, bias, rounded and large))
        position = end
    return layers


class Activations(NamedTuple):
    """Buffers of one pass, or of the gradients with respect to what is in them."""

    hidden: list[Tensor]  # (K, batch, width), one per hidden layer
    output: Tensor  # (K, outputs, batch)

    @classmethod
    def empty(cls, networks: int, sizes: Sizes, batch: int, like: Tensor) -> "Activations":
        """Return buffers for a batch, on the device and with the precision of `like`."""
        return cls(
            [like.new_zeros(networks, batch, width) for width in sizes[1:-1]],
            like.new_zeros(networks, sizes[-1], batch),
        )

    def first(self, batch: int) -> "Activations":
        """Return the part of the first rows of the batch."""
        return Activations([h[:, :batch] for h in self.hidden], self.output[:, :, :batch])


def forward(layers: Sequence[Layer], inputs: Tensor, result: Activations) -> None:
    """Fill the activations for inputs of shape (K, batch, inputs)."""
    for layer, hidden in zip(layers, result.hidden, strict=False):
        with _factors(layer.rounded):
            torch.bmm(inputs, layer.weight_transposed, out=hidden)
        add_bias_and_rectify(hidden, layer.bias)
        inputs = hidden
    last = layers[-1]
    torch.baddbmm(last.bias, last.weight, inputs.mT, out=result.output)


def backward(
    layers: Sequence[Layer],
    inputs: Tensor,
    activations: Activations,
    deltas: Activations,
    gradients: Sequence[Layer],
) -> None:
    """Fill the parameters' gradients, given those of the outputs in `deltas.output`."""
    below = [inputs, *activations.hidden]
    torch.bmm(deltas.output, below[-1], out=gradients[-1].weight)
    torch.sum(deltas.output, 2, keepdim=True, out=gradients[-1].bias)
    torch.bmm(deltas.output.mT, layers[-1].weight, out=deltas.hidden[-1])
    for number in reversed(range(len(deltas.hidden))):
        delta, gradient = deltas.hidden[number], gradients[number]
        through_rectifier(delta, activations.hidden[number], gradient.bias)
        with _factors(gradient.rounded):
            torch.bmm(delta.mT, below[number], out=gradient.weight)
            if number > 0:
                torch.bmm(delta, layers[number].weight, out=deltas.hidden[number - 1])


def backward_to_inputs(
    layers: Sequence[Layer],
    columns: Tensor,
    activations: Activations,
    deltas: Activations,
    result: Tensor,
) -> None:
    """Fill gradients with respect to some inputs, shape (K, columns, batch).

    `columns` are those inputs' columns of the first layer's weight, transposed: (K, columns,
    width), contiguous. The parameters' gradients aren't computed.
    """
    torch.bmm(deltas.output.mT, layers[-1].weight, out=deltas.hidden[-1])
    for number in reversed(range(len(deltas.hidden))):
        delta = deltas.hidden[number]
        through_rectifier(delta, activations.hidden[number], None)
        if number > 0:
            with _factors(layers[number].rounded):
                torch.bmm(delta, layers[number].weight, out=deltas.hidden[number - 1])
    torch.bmm(columns, deltas.hidden[0].mT, out=result)
