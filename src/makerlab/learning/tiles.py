"""Small blocks of matrix products that stay in a processor's registers, for compiled code.

A library's matrix product copies its factors into an order of its own at each call, and leaves
bias, rectifier and mask to further passes over the result. Between matrices kept in panels (see
`panels`) none of that is needed: each function here computes one block of four rows and sixteen
columns, or four dot products, and finishes it before it is stored. They are written as vector
instructions of LLVM, because loops don't get them: eight sums per block stay in registers.

Arrays are flat; all places and strides count elements. Every sum runs over its terms in order.
"""

from typing import Any

from llvmlite import ir
from numba import types

from makerlab.compiling import written

ROWS = 4
COLUMNS = 16
LANES = 8
_VECTORS = COLUMNS // LANES
_INTEGER = ir.IntType(64)

Block = list[list[Any]]


class _Writer:
    """Writes instructions on vectors of one element type."""

    def __init__(self, builder: Any, element: Any) -> None:
        self.builder = builder
        self.element = element
        self.vector = ir.VectorType(element, LANES)
        self.zero = ir.Constant(self.vector, [0.0] * LANES)
        self._none = ir.Constant(self.vector, ir.Undefined)
        self._first = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
        kind = "f32" if isinstance(element, ir.FloatType) else "f64"
        self._suffix = f"v{LANES}{kind}"
        self._size = 4 if kind == "f32" else 8

    def add(self, *terms: Any) -> Any:
        """Add integers; Python's are constants."""
        total = self.integer(terms[0])
        for term in terms[1:]:
            total = self.builder.add(total, self.integer(term))
        return total

    def times(self, one: Any, other: Any) -> Any:
        return self.builder.mul(self.integer(one), self.integer(other))

    def integer(self, value: Any) -> Any:
        return ir.Constant(_INTEGER, value) if isinstance(value, int) else value

    def load(self, array: Any, place: Any) -> Any:
        return self.builder.load(self._vector_at(array, place), align=self._size)

    def store(self, value: Any, array: Any, place: Any) -> None:
        self.builder.store(value, self._vector_at(array, place), align=self._size)

    def load_one(self, array: Any, place: Any) -> Any:
        return self.builder.load(self.builder.gep(array, [self.integer(place)]))

    def store_one(self, value: Any, array: Any, place: Any) -> None:
        self.builder.store(value, self.builder.gep(array, [self.integer(place)]))

    def spread(self, number: Any) -> Any:
        """Return a vector with the number in every lane."""
        one = self.builder.insert_element(self._none, number, ir.Constant(ir.IntType(32), 0))
        return self.builder.shuffle_vector(one, self._none, self._first)

    def multiply_add(self, one: Any, other: Any, total: Any) -> Any:
        kind = ir.FunctionType(self.vector, [self.vector] * 3)
        name = f"llvm.fmuladd.{self._suffix}"
        return self.builder.call(self._library(kind, name), [one, other, total])

    def sum_of_lanes(self, vector: Any) -> Any:
        kind = ir.FunctionType(self.element, [self.element, self.vector])
        name = f"llvm.vector.reduce.fadd.{self._suffix}"
        start = ir.Constant(self.element, 0.0)
        function = self._library(kind, name)
        return self.builder.call(function, [start, vector], fastmath=("reassoc",))

    def _library(self, kind: Any, name: str) -> Any:
        known = self.builder.module.globals
        return known.get(name) or ir.Function(self.builder.module, kind, name)

    def where_positive(self, test: Any, value: Any) -> Any:
        """Return the value where test > 0, zero elsewhere."""
        positive = self.builder.fcmp_ordered(">", test, self.zero)
        return self.builder.select(positive, value, self.zero)

    def rectified(self, value: Any) -> Any:
        """Return max(value, 0) such that NaN stays NaN."""
        negative = self.builder.fcmp_ordered("<", value, self.zero)
        return self.builder.select(negative, self.zero, value)

    def accumulate(self, count: Any, start: Block, body: Any) -> Block:
        """Return the block after `count` (at least 1) rounds of `body(round, block) -> block`."""
        builder = self.builder
        before = builder.block
        loop, done = builder.append_basic_block("terms"), builder.append_basic_block("sums")
        builder.branch(loop)
        builder.position_at_end(loop)
        number = builder.phi(_INTEGER)
        number.add_incoming(self.integer(0), before)
        sums = [[builder.phi(self.vector) for _ in row] for row in start]
        results: Block = body(number, sums)
        following = self.add(number, 1)
        number.add_incoming(following, builder.block)
        for row, values, begin in zip(sums, results, start, strict=True):
            for place, value, first in zip(row, values, begin, strict=True):
                place.add_incoming(first, before)
                place.add_incoming(value, builder.block)
        more = builder.icmp_signed("<", following, self.integer(count))
        builder.cbranch(more, loop, done)
        builder.position_at_end(done)
        return results

    def _vector_at(self, array: Any, place: Any) -> Any:
        pointer = self.builder.gep(array, [self.integer(place)])
        return self.builder.bitcast(pointer, self.vector.as_pointer())

    def products(self, factors: list[Any], array: Any, place: Any, sums: Block) -> Block:
        """Add factor times the row of sixteen at `place`, for each of the block's rows."""
        row = [self.load(array, self.add(place, v * LANES)) for v in range(_VECTORS)]
        return [
            [
                self.multiply_add(factor, value, total)
                for value, total in zip(row, line, strict=True)
            ]
            for factor, line in zip(map(self.spread, factors), sums, strict=True)
        ]


def _block(kinds: tuple[Any, ...], write: Any) -> Any:
    """Return what an intrinsic returns; `write(writer, arguments)` gets arrays as pointers."""
    signature = types.void(*(k if isinstance(k, types.Array) else types.int64 for k in kinds))

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        values = [
            context.make_array(kind)(context, builder, value).data
            if isinstance(kind, types.Array)
            else value
            for kind, value in zip(signature.args, arguments, strict=True)
        ]
        write(_Writer(builder, context.get_value_type(kinds[0].dtype)), values)
        return context.get_dummy_value()

    return signature, generate


def _column_of_rows(writer: _Writer, array: Any, first: Any, panel: Any, number: Any) -> list[Any]:
    """Return the numbers in one column of a block's rows, in a matrix of panels."""
    builder = writer.builder
    across = writer.times(builder.lshr(number, writer.integer(4)), panel)
    here = writer.add(first, across, builder.and_(number, writer.integer(COLUMNS - 1)))
    return [writer.load_one(array, writer.add(here, r * COLUMNS)) for r in range(ROWS)]


def _zeros(writer: _Writer) -> Block:
    return [[writer.zero] * _VECTORS for _ in range(ROWS)]


@written
def rectified_block(
    _: Any,
    inputs: Any,
    first: Any,
    panel: Any,
    weights: Any,
    column: Any,
    bias: Any,
    count: Any,
    result: Any,
    place: Any,
) -> Any:
    """Store max(inputs @ weights + bias, 0): four rows, one panel of columns, `count` terms.

    `first` is the place of the rows in the first panel of inputs, `panel` the distance of panels,
    `column` the place of the panel of weights and `bias` that of its biases.
    """

    def write(writer: _Writer, arguments: list[Any]) -> None:
        inputs, first, panel, weights, column, bias, count, result, place = arguments
        biases = [writer.load(weights, writer.add(bias, v * LANES)) for v in range(_VECTORS)]

        def add(number: Any, sums: Block) -> Block:
            factors = _column_of_rows(writer, inputs, first, panel, number)
            row = writer.add(column, writer.times(number, COLUMNS))
            return writer.products(factors, weights, row, sums)

        sums = writer.accumulate(count, [list(biases) for _ in range(ROWS)], add)
        for r, v, value in _values(sums):
            target = writer.add(place, r * COLUMNS + v * LANES)
            writer.store(writer.rectified(value), result, target)

    kinds = (inputs, first, panel, weights, column, bias, count, result, place)
    return _block(kinds, write)


@written
def masked_block(
    _: Any,
    deltas: Any,
    first: Any,
    panel: Any,
    weights: Any,
    column: Any,
    count: Any,
    units: Any,
    column_of_units: Any,
    rows: Any,
    row: Any,
    result: Any,
    place: Any,
) -> Any:
    """Store deltas @ weights where units > 0, else 0; the arguments are as in `rectified_block`.

    The block's row r looks at row `rows[row + r]` of the units' panel at `column_of_units`.
    """

    def write(writer: _Writer, arguments: list[Any]) -> None:
        deltas, first, panel, weights, column, count = arguments[:6]
        units, column_of_units, rows, row, result, place = arguments[6:]

        def add(number: Any, sums: Block) -> Block:
            factors = _column_of_rows(writer, deltas, first, panel, number)
            line = writer.add(column, writer.times(number, COLUMNS))
            return writer.products(factors, weights, line, sums)

        sums = writer.accumulate(count, _zeros(writer), add)
        for r, v, value in _values(sums):
            chosen = writer.load_one(rows, writer.add(row, r))
            beside = writer.add(column_of_units, writer.times(chosen, COLUMNS), v * LANES)
            masked = writer.where_positive(writer.load(units, beside), value)
            writer.store(masked, result, writer.add(place, r * COLUMNS + v * LANES))

    kinds = (deltas, first, panel, weights, column, count)
    return _block((*kinds, units, column_of_units, rows, row, result, place), write)


@written
def gradient_block(
    _: Any,
    inputs: Any,
    first: Any,
    deltas: Any,
    column: Any,
    count: Any,
    result: Any,
    place: Any,
) -> Any:
    """Store inputs.T @ deltas: four inputs, one panel of deltas, summed over `count` rows.

    `first` is the place of the four inputs in row 0, `column` that of the panel of deltas.
    """

    def write(writer: _Writer, arguments: list[Any]) -> None:
        inputs, first, deltas, column, count, result, place = arguments

        def add(number: Any, sums: Block) -> Block:
            down = writer.times(number, COLUMNS)
            here = writer.add(first, down)
            factors = [writer.load_one(inputs, writer.add(here, r)) for r in range(ROWS)]
            return writer.products(factors, deltas, writer.add(column, down), sums)

        sums = writer.accumulate(count, _zeros(writer), add)
        for r, v, value in _values(sums):
            writer.store(value, result, writer.add(place, r * COLUMNS + v * LANES))

    return _block((inputs, first, deltas, column, count, result, place), write)


@written
def dot_block(
    _: Any,
    inputs: Any,
    first: Any,
    panel: Any,
    weights: Any,
    row: Any,
    distance: Any,
    count: Any,
    result: Any,
    place: Any,
) -> Any:
    """Store the dot products of four rows of `count` panels with one row of weights.

    `row` is the place of the weights' first sixteen numbers, `distance` that to the next sixteen.
    """

    def write(writer: _Writer, arguments: list[Any]) -> None:
        inputs, first, panel, weights, row, distance, count, result, place = arguments

        def add(number: Any, sums: Block) -> Block:
            here = writer.add(first, writer.times(number, panel))
            beside = writer.add(row, writer.times(number, distance))
            return [
                [
                    writer.multiply_add(
                        writer.load(inputs, writer.add(here, r * COLUMNS + v * LANES)),
                        writer.load(weights, writer.add(beside, v * LANES)),
                        total,
                    )
                    for v, total in enumerate(line)
                ]
                for r, line in enumerate(sums)
            ]

        for r, line in enumerate(writer.accumulate(count, _zeros(writer), add)):
            total = line[0]
            for value in line[1:]:
                total = writer.builder.fadd(total, value)
            writer.store_one(writer.sum_of_lanes(total), result, writer.add(place, r))

    kinds = (inputs, first, panel, weights, row, distance, count, result, place)
    return _block(kinds, write)


@written
def sum_block(_: Any, deltas: Any, column: Any, count: Any, result: Any, place: Any) -> Any:
    """Store the sum of the rows of one panel, of which there are four times `count`."""

    def write(writer: _Writer, arguments: list[Any]) -> None:
        deltas, column, count, result, place = arguments

        def add(number: Any, sums: Block) -> Block:
            here = writer.add(column, writer.times(number, ROWS * COLUMNS))
            return [
                [
                    writer.builder.fadd(
                        total, writer.load(deltas, writer.add(here, r * COLUMNS + v * LANES))
                    )
                    for v, total in enumerate(line)
                ]
                for r, line in enumerate(sums)
            ]

        sums = writer.accumulate(count, _zeros(writer), add)
        for v in range(_VECTORS):
            total = sums[0][v]
            for line in sums[1:]:
                total = writer.builder.fadd(total, line[v])
            writer.store(total, result, writer.add(place, v * LANES))

    return _block((deltas, column, count, result, place), write)


def _values(sums: Block) -> list[tuple[int, int, Any]]:
    return [(r, v, value) for r, line in enumerate(sums) for v, value in enumerate(line)]
