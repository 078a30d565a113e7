"""Where one compiled update spends its time, part by part, and its blocks beside a library's.

    python benchmarks/profile_update.py

Microseconds of processor time, the smallest of many rounds, and floating-point operations per
second where products are timed. Parts are timed one by one, so caches are warmer than in a step.
"""

import os
import time
from collections.abc import Callable

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import torch

from makerlab.learning import compiled_step, panels
from makerlab.learning.fast_compiled import CompiledUpdate
from makerlab.learning.fast_update import Shape
from makerlab.learning.tiles import COLUMNS

BATCH, OBSERVATIONS, ACTIONS, ROUNDS = 256, 17, 2, 60


def microseconds(work: Callable[[], object]) -> float:
    """Return the smallest processor time of a call; the first one, which compiles, aside."""
    work()
    found = []
    for _ in range(ROUNDS):
        started = time.process_time()
        work()
        found.append(time.process_time() - started)
    return 1e6 * min(found)


def main() -> None:
    """Measure and print, one network after the other."""
    torch.set_num_threads(1)
    for width in (64, 128, 256):
        for name, work, operations in parts(width):
            taken = microseconds(work)
            speed = f"{operations / taken / 1e3:7.1f} GFLOP/s" if operations else ""
            print(f"{[width, width]!s:12} {name:36} {taken:9.1f} us {speed}")


def parts(width: int) -> list[tuple[str, Callable[[], object], float]]:
    """Return name, call and operations of what is timed."""
    shape = Shape(OBSERVATIONS, ACTIONS, (width, width))
    update = CompiledUpdate(shape, batch_size=BATCH, learning_rate=3e-4, gamma=0.99, tau=0.05)
    random = np.random.default_rng(0)
    state = update.state()
    for part in ("actor", "critics"):
        state[part]["parameters"].normal_(generator=torch.Generator().manual_seed(0)).mul_(0.1)
    state["targets"].copy_(state["critics"]["parameters"])
    update.restore(state)
    store = random.standard_normal((400_000, shape.row)).astype(np.float32)
    noise = random.standard_normal((1, 2, ACTIONS, BATCH)).astype(np.float32)
    samples = random.integers(200_000, size=(1, BATCH))
    nets, room = update._networks, update._room
    critics, plan, across = nets.critics, nets.critic_plan, 2 * BATCH * COLUMNS
    units, value = room.units[: len(room.units) // 2], room.values[:BATCH]
    one, other = torch.randn(BATCH, width), torch.randn(width, width)
    result, gradient = torch.empty(BATCH, width), torch.empty(width, width)
    inner = 2.0 * BATCH * width * width
    ahead = 2.0 * BATCH * (19 * width + width)
    back = (room.head, room.deltas, room.everyone, critics.gradients)
    return [
        ("whole step", lambda: update.step(store, samples, noise), 0.0),
        (
            "a critic forward",
            lambda: panels.forward(
                room.inputs, 0, across, BATCH, critics.parameters, 0, plan, units, value
            ),
            ahead + inner,
        ),
        (
            "a critic backward",
            lambda: panels.backward(
                room.inputs,
                0,
                across,
                BATCH,
                BATCH,
                critics.parameters,
                0,
                critics.turned,
                0,
                plan,
                units,
                *back,
            ),
            ahead + 2.0 * inner + 2.0 * BATCH * width,
        ),
        ("library: product", lambda: torch.mm(one, other, out=result), inner),
        ("library: product of transposed", lambda: torch.mm(one.T, result, out=gradient), inner),
        ("Adam, critics", lambda: compiled_step._adam(critics, 3e-4), 0.0),
        ("Adam, actor", lambda: compiled_step._adam(nets.actor, 3e-4), 0.0),
        ("targets", lambda: compiled_step._follow(nets.targets, critics.parameters, 0.05), 0.0),
        (
            "weights of a critic turned",
            lambda: panels.turn(critics.parameters, 0, plan, critics.turned, 0),
            0.0,
        ),
        (
            "batch gathered",
            lambda: compiled_step._gather(
                store, samples[0], room.inputs, BATCH, room.reward, room.continues
            ),
            0.0,
        ),
        (
            "exp, tanh, log of the policy",
            lambda: compiled_step._squash(
                room.policy, BATCH, noise[0, 0], room.deviation, room.action, room.log_prob
            ),
            0.0,
        ),
    ]


if __name__ == "__main__":
    main()
