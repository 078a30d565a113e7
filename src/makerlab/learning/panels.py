"""ReLU networks whose numbers lie in panels, as the compiled update wants them.

A matrix of R rows lies in panels of sixteen columns, one after the other, each row by row:
number (r, c) is at (c // 16) * R * 16 + r * 16 + c % 16. Missing columns are zero, and stay it. In
this order every factor of every product is read from front to back, whichever way round.

Weights lie transposed, inputs by outputs, their inputs rounded up to a multiple of four; those of
the last layer, whose outputs are few, lie outputs by inputs. A layer's biases follow its weights.
"""

from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from makerlab.compiling import part
from makerlab.learning.tiles import (
    COLUMNS,
    ROWS,
    dot_block,
    gradient_block,
    masked_block,
    rectified_block,
    sum_block,
)

Array = npt.NDArray[Any]
Plan = npt.NDArray[np.int64]

# Columns of a plan, which has a row per layer.
INPUTS, OUTPUTS, LINES, WIDE, WEIGHTS, BIASES, TURNED, UNITS = range(8)


def round_up(count: int, unit: int) -> int:
    """Return the smallest multiple of a unit that is not below a count."""
    return -(-count // unit) * unit


def plan_of(sizes: tuple[int, ...]) -> tuple[Plan, int, int, int]:
    """Return where the layers of these sizes lie: plan, parameters, turned weights, units.

    A row holds inputs, outputs, lines and columns of the stored weights, the places of weights,
    biases, turned weights, and of the layer's units (per row of a batch).
    """
    rows = []
    place = turned = units = 0
    for number, (inputs, outputs) in enumerate(pairwise(sizes)):
        last = number == len(sizes) - 2
        lines = round_up(outputs if last else inputs, ROWS)
        wide = round_up(inputs if last else outputs, COLUMNS)
        biases = place + lines * wide
        rows.append((inputs, outputs, lines, wide, place, biases, turned, units))
        place = biases + round_up(outputs, COLUMNS)
        if not last:
            turned += round_up(inputs, COLUMNS) * outputs if number else 0
            units += wide
    return np.array(rows, np.int64), place, turned, units


def layer_places(plan: Plan, base: int = 0) -> list[tuple[Plan, Plan]]:
    """Return where the numbers of one network lie: all weights, all biases, layer by layer.

    Weights count as in torch, outputs by inputs, biases behind each layer's weights.
    """
    places = []
    for number, (inputs, outputs, lines, _, weights, biases, _, _) in enumerate(plan.tolist()):
        rows, columns = np.meshgrid(np.arange(outputs), np.arange(inputs), indexing="ij")
        if number < len(plan) - 1:
            rows, columns = columns, rows
        inside = (columns // COLUMNS) * lines * COLUMNS + rows * COLUMNS + columns % COLUMNS
        places.append((base + weights + inside, base + biases + np.arange(outputs)))
    return places


@part()
def forward(
    inputs: Array,
    first: int,
    panel: int,
    rows: int,
    parameters: Array,
    base: int,
    plan: Plan,
    units: Array,
    results: Array,
) -> None:
    """Fill units and results, outputs by rows, for rows that begin at a place of the inputs.

    `panel` is the distance of the inputs' panels, `base` the place of the network's parameters.
    """
    source = inputs
    for number in range(len(plan) - 1):
        layer = plan[number]
        place, lines = layer[UNITS] * rows, layer[LINES]
        for j in range(layer[WIDE] // COLUMNS):
            column = base + layer[WEIGHTS] + j * lines * COLUMNS
            bias = base + layer[BIASES] + j * COLUMNS
            target = place + j * rows * COLUMNS
            for i in range(0, rows * COLUMNS, ROWS * COLUMNS):
                rectified_block(
                    source,
                    first + i,
                    panel,
                    parameters,
                    column,
                    bias,
                    layer[INPUTS],
                    units,
                    target + i,
                )
        source, first, panel = units, place, rows * COLUMNS
    head = plan[-1]
    for m in range(head[OUTPUTS]):
        row = base + head[WEIGHTS] + m * COLUMNS
        bias = parameters[base + head[BIASES] + m]
        result = results[m * rows : (m + 1) * rows]
        dots(source, first, rows, parameters, row, head[LINES], head[WIDE], result)
        for i in range(rows):
            result[i] += bias


@part()
def dots(
    units: Array,
    place: int,
    rows: int,
    weights: Array,
    row: int,
    lines: int,
    wide: int,
    result: Array,
) -> None:
    """Fill the dot products of a layer's units, row by row, with one row of weights."""
    panel = rows * COLUMNS
    for i in range(0, rows, ROWS):
        dot_block(
            units,
            place + i * COLUMNS,
            panel,
            weights,
            row,
            lines * COLUMNS,
            wide // COLUMNS,
            result,
            i,
        )


@part()
def deltas_below(
    deltas: Array,
    place: int,
    panel: int,
    rows: int,
    weights: Array,
    base: int,
    lines: int,
    count: int,
    units: Array,
    place_of_units: int,
    panel_of_units: int,
    chosen: Plan,
    result: Array,
    target: int,
    wide: int,
) -> None:
    """Fill the gradients of a layer's inputs from those of its `count` outputs.

    Row r belongs to row chosen[r] of the units, which are the layer's rectified inputs.
    """
    for j in range(wide // COLUMNS):
        column = base + j * lines * COLUMNS
        column_of_units = place_of_units + j * panel_of_units
        for i in range(0, rows, ROWS):
            masked_block(
                deltas,
                place + i * COLUMNS,
                panel,
                weights,
                column,
                count,
                units,
                column_of_units,
                chosen,
                i,
                result,
                target + (j * rows + i) * COLUMNS,
            )


@part()
def weight_gradients(
    inputs: Array,
    first: int,
    panel: int,
    count: int,
    lines: int,
    deltas: Array,
    place: int,
    panel_of_deltas: int,
    wide: int,
    batch: int,
    gradients: Array,
    target: int,
) -> None:
    """Fill inputs.T @ deltas in the order of weights; lines beyond `count` inputs become zero."""
    for j in range(wide // COLUMNS):
        column = target + j * lines * COLUMNS
        for r in range(0, lines, ROWS):
            gradient_block(
                inputs,
                first + (r // COLUMNS) * panel + r % COLUMNS,
                deltas,
                place + j * panel_of_deltas,
                batch,
                gradients,
                column + r * COLUMNS,
            )
        gradients[column + count * COLUMNS : column + lines * COLUMNS] = 0.0


@part()
def backward(
    inputs: Array,
    first: int,
    panel: int,
    rows: int,
    batch: int,
    parameters: Array,
    base: int,
    turned: Array,
    base_of_turned: int,
    plan: Plan,
    units: Array,
    head: Array,
    deltas: Array,
    everyone: Plan,
    gradients: Array,
) -> None:
    """Fill the parameters' gradients, given those of the outputs in `head`, one panel.

    Rows beyond the batch are zero in `head`. `deltas` is room like that of the units;
    `everyone` counts the rows.
    """
    across = rows * COLUMNS
    top = plan[-1]
    place = plan[len(plan) - 2, UNITS] * rows
    weight_gradients(
        head,
        0,
        across,
        top[OUTPUTS],
        top[LINES],
        units,
        place,
        across,
        top[WIDE],
        batch,
        gradients,
        base + top[WEIGHTS],
    )
    sum_block(head, 0, rows // ROWS, gradients, base + top[BIASES])
    deltas_below(
        head,
        0,
        across,
        rows,
        parameters,
        base + top[WEIGHTS],
        top[LINES],
        top[OUTPUTS],
        units,
        place,
        across,
        everyone,
        deltas,
        place,
        top[WIDE],
    )
    for number in range(len(plan) - 2, -1, -1):
        layer = plan[number]
        place = layer[UNITS] * rows
        source, begin, distance = units, plan[max(number - 1, 0), UNITS] * rows, across
        if number == 0:
            source, begin, distance = inputs, first, panel
        weight_gradients(
            source,
            begin,
            distance,
            layer[INPUTS],
            layer[LINES],
            deltas,
            place,
            across,
            layer[WIDE],
            batch,
            gradients,
            base + layer[WEIGHTS],
        )
        for j in range(layer[WIDE] // COLUMNS):
            bias = base + layer[BIASES] + j * COLUMNS
            sum_block(deltas, place + j * across, rows // ROWS, gradients, bias)
        if number > 0:
            deltas_below(
                deltas,
                place,
                across,
                rows,
                turned,
                base_of_turned + layer[TURNED],
                layer[OUTPUTS],
                layer[OUTPUTS],
                units,
                begin,
                across,
                everyone,
                deltas,
                begin,
                plan[number - 1, WIDE],
            )


@part()
def deltas_of_first(
    head: Array,
    panel: int,
    rows: int,
    parameters: Array,
    base: int,
    turned: Array,
    base_of_turned: int,
    plan: Plan,
    units: Array,
    chosen: Plan,
    deltas: Array,
) -> None:
    """Fill the gradients of the first hidden layer of chosen rows, given those of their outputs.

    `panel` is the distance of the units' panels; those of `deltas` have just these rows.
    """
    top, last = plan[-1], len(plan) - 2
    whole = panel // COLUMNS
    target = plan[last, UNITS] * whole
    deltas_below(
        head,
        0,
        panel,
        rows,
        parameters,
        base + top[WEIGHTS],
        top[LINES],
        top[OUTPUTS],
        units,
        target,
        panel,
        chosen,
        deltas,
        target,
        top[WIDE],
    )
    for number in range(last, 0, -1):
        layer = plan[number]
        place, target = target, plan[number - 1, UNITS] * whole
        deltas_below(
            deltas,
            place,
            rows * COLUMNS,
            rows,
            turned,
            base_of_turned + layer[TURNED],
            layer[OUTPUTS],
            layer[OUTPUTS],
            units,
            target,
            panel,
            chosen,
            deltas,
            target,
            plan[number - 1, WIDE],
        )


@part()
def turn(parameters: Array, base: int, plan: Plan, turned: Array, base_of_turned: int) -> None:
    """Copy the weights between hidden layers, outputs by inputs, for the way back."""
    for number in range(1, len(plan) - 1):
        layer = plan[number]
        lines, outputs = layer[LINES], layer[OUTPUTS]
        for j in range(0, outputs, COLUMNS):
            for k in range(0, layer[INPUTS], COLUMNS):
                source = base + layer[WEIGHTS] + j * lines + k * COLUMNS
                target = base_of_turned + layer[TURNED] + k * outputs + j * COLUMNS
                for c in range(min(COLUMNS, outputs - j)):
                    for r in range(min(COLUMNS, layer[INPUTS] - k)):
                        turned[target + c * COLUMNS + r] = parameters[source + r * COLUMNS + c]
