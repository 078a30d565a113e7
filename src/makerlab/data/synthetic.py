"""A seeded synthetic market that tells market makers apart; docs/synthetic.md has the equations.

The log price is a lasting part (diffusion, jumps, order flow) plus a passing deviation that
builds up within a bar and dies out over a few. The candles start in 2000, before any market they
could be mistaken for, and carry a column `synthetic` wherever they are written.
"""

import dataclasses
import hashlib
import math
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from makerlab.compiling import kept
from makerlab.config.settings import SyntheticSettings
from makerlab.data.candles import Candles, DataSource, load_candles
from makerlab.errors import UserError
from makerlab.files import canonical_json, content_hash, write_atomically

GENERATOR_VERSION = 1
START_MS = 946_684_800_000  # 2000-01-01T00:00Z
SECONDS_PER_DAY = 86_400
SECONDS_PER_MINUTE = 60
# The median range of a bar of a discrete driftless walk, in standard deviations of its return.
MEDIAN_RANGE = 1.4

_HASH_KEY = b"makerlab.sha256"
_SETTINGS_KEY = b"makerlab.settings"
_COLUMNS = ("open", "high", "low", "close", "volume")

Floats = npt.NDArray[np.float64]


class _Process(NamedTuple):
    """The settings as the recursion wants them; persistences are per bar but where it says."""

    volatility: float
    volatility_persistence: float
    volatility_variation: float
    jump_rate: float
    jump_size: float
    flow_strength: float
    flow_persistence: float
    lasting_step: float
    pressure_step: float
    pressure_persistence_per_step: float
    passing_persistence_per_step: float


class _Draws(NamedTuple):
    """The random numbers of one day: normals of (bars,) and (bars, substeps), a uniform (bars,)."""

    volatility: Floats
    flow: Floats
    jump: Floats
    jump_uniform: Floats
    volume: Floats
    lasting: Floats
    pressure: Floats


def generate_candles(settings: SyntheticSettings) -> Candles:
    """Return the synthetic market's candles; the same settings give the same bytes.

    A longer market begins with the bars of the shorter one. Raises UserError when extreme
    settings carry the price out of the range of numbers.
    """
    rng = np.random.default_rng(settings.seed)
    process = _process(settings)
    # log lasting price, passing deviation, its pressure, log volatility over its median, flow
    state = np.array([math.log(settings.start_price), 0.0, 0.0, 0.0, 0.0])
    state[3:] = rng.standard_normal(2) * (settings.volatility_variation, 1.0)
    bars = SECONDS_PER_DAY // settings.bar_seconds
    days = []
    for _ in range(settings.days):
        draws = _draw(rng, bars, settings.substeps)
        log_prices, log_activity = _simulate_bars(state, process, draws)
        log_volume = _log_volume(settings, log_activity, draws.volume)
        days.append(np.column_stack([log_prices, log_volume]))
    columns = _exponentials(np.concatenate(days))
    if not (np.isfinite(columns).all() and (columns > 0.0).all()):
        raise UserError(
            "data.synthetic: prices or volumes left the range of numbers; "
            f"lower volatility_bps (found {settings.volatility_bps:g}), volatility_variation, "
            "flow_strength or jump_size"
        )
    # Rounding in exp must not put a close an ulp above the high it equals.
    columns[:, 1] = columns[:, :4].max(axis=1)
    columns[:, 2] = columns[:, :4].min(axis=1)
    return _candles(settings, columns)


def synthetic_candles(settings: SyntheticSettings, folder: Path) -> Candles:
    """Return the candles of `generate_candles`, kept in a file of `folder` for the next call.

    The file is named after settings and generator version and written atomically, so any number
    of processes may share the folder. A file that is damaged or holds anything else is replaced.
    """
    path = synthetic_path(settings, folder)
    candles = _load_kept(path, settings)
    if candles is None:
        candles = generate_candles(settings)
        _keep(path, settings, candles)
    source = dataclasses.replace(
        candles.source, path=str(path), sha256=_arrays_hash(candles.ts_ms, _values(candles))
    )
    return dataclasses.replace(candles, source=source)


def synthetic_path(settings: SyntheticSettings, folder: Path) -> Path:
    """Return where `synthetic_candles` keeps the candles of these settings."""
    return folder / f"synthetic_{content_hash(_identity(settings))[:12]}.parquet"


def _identity(settings: SyntheticSettings) -> dict[str, Any]:
    return {"generator": GENERATOR_VERSION, **settings.model_dump(mode="json")}


def _keep(path: Path, settings: SyntheticSettings, candles: Candles) -> None:
    """Write candles with the settings that made them and a hash that proves them undamaged."""
    table = pa.Table.from_pandas(candles.to_frame(), preserve_index=False)
    table = table.replace_schema_metadata(
        {_HASH_KEY: candles.source.sha256, _SETTINGS_KEY: canonical_json(_identity(settings))}
    )
    write_atomically(path, lambda file: pq.write_table(table, file))


def _load_kept(path: Path, settings: SyntheticSettings) -> Candles | None:
    """Return the candles kept in a file, or None unless it holds exactly what was written."""
    try:
        candles = load_candles(path)
        stored = pq.read_schema(path).metadata or {}
    except (UserError, pa.ArrowException, OSError, ValueError):
        return None
    sha256 = _arrays_hash(candles.ts_ms, _values(candles))
    wanted = {_HASH_KEY: sha256, _SETTINGS_KEY: canonical_json(_identity(settings))}
    undamaged = all(stored.get(key) == value.encode() for key, value in wanted.items())
    return candles if undamaged and candles.source.kind == "synthetic" else None


def _values(candles: Candles) -> dict[str, Floats]:
    return {name: getattr(candles, name) for name in _COLUMNS}


def _arrays_hash(ts_ms: npt.NDArray[np.int64], values: dict[str, Floats]) -> str:
    """Return the sha256 of the little-endian bytes of times, prices and volumes."""
    digest = hashlib.sha256(ts_ms.astype("<i8").tobytes())
    for name in _COLUMNS:
        digest.update(values[name].astype("<f8").tobytes())
    return digest.hexdigest()


def _process(settings: SyntheticSettings) -> _Process:
    """Turn half-lives into persistences and shares of variance into steps of the path."""
    volatility = settings.volatility_bps * 1e-4 * np.sqrt(settings.bar_seconds / SECONDS_PER_MINUTE)
    per_step = 0.5 ** (1.0 / (settings.reversion_half_life * settings.substeps))
    pressure = 0.5 ** (1.0 / (settings.pressure_half_life * settings.substeps))
    unit_variance = _variance_of_change(per_step, pressure, settings.substeps)
    return _Process(
        volatility=float(volatility),
        volatility_persistence=0.5 ** (1.0 / settings.volatility_half_life),
        volatility_variation=settings.volatility_variation,
        jump_rate=settings.jump_rate,
        jump_size=settings.jump_size,
        flow_strength=settings.flow_strength,
        flow_persistence=0.5 ** (1.0 / settings.flow_half_life),
        lasting_step=float(np.sqrt((1.0 - settings.reversion_strength) / settings.substeps)),
        pressure_step=float(np.sqrt(settings.reversion_strength / unit_variance)),
        pressure_persistence_per_step=pressure,
        passing_persistence_per_step=per_step,
    )


def _variance_of_change(first: float, second: float, steps: int) -> float:
    """Return the variance of u(t + steps) - u(t) for an AR(2) process u driven by unit noise.

    With roots a and b, cov(u(t), u(t + k)) =
    (a^(k+1) / (1 - a^2) - b^(k+1) / (1 - b^2)) / ((a - b) (1 - a b)).
    """

    def scaled_covariance(lag: int) -> float:
        return first ** (lag + 1) / (1 - first**2) - second ** (lag + 1) / (1 - second**2)

    scale = (first - second) * (1 - first * second)
    return 2.0 * (scaled_covariance(0) - scaled_covariance(steps)) / scale


def _draw(rng: np.random.Generator, bars: int, substeps: int) -> _Draws:
    """Draw one day; the order of the draws is part of the generator's version."""
    volatility, flow, jump, volume = rng.standard_normal((4, bars))
    lasting, pressure = rng.standard_normal((2, bars, substeps))
    return _Draws(
        volatility=volatility,
        flow=flow,
        jump=jump,
        jump_uniform=rng.random(bars),
        volume=volume,
        lasting=lasting,
        pressure=pressure,
    )


@kept
def _simulate_bars(state: Floats, process: _Process, draws: _Draws) -> tuple[Floats, Floats]:
    """Advance `state` by one day of bars.

    Returns log prices (bars, 4) as open, high, low, close, and log activity (bars,): that of the
    product of the bar's range and its volatility, each over its median.
    """
    bars, substeps = draws.lasting.shape
    log_prices = np.empty((bars, 4))
    log_activity = np.empty(bars)
    volatility_noise = process.volatility_variation * np.sqrt(1 - process.volatility_persistence**2)
    flow_noise = np.sqrt(1 - process.flow_persistence**2)
    lasting, passing, pressure, log_volatility, flow = state
    for bar in range(bars):
        log_volatility *= process.volatility_persistence
        log_volatility += volatility_noise * draws.volatility[bar]
        flow = process.flow_persistence * flow + flow_noise * draws.flow[bar]
        volatility = process.volatility * np.exp(log_volatility)
        drift = volatility * process.flow_strength * flow / substeps
        jump_step = -1
        if draws.jump_uniform[bar] < process.jump_rate:
            # The uniform that decided on a jump, scaled up, also says in which step it falls.
            jump_step = int(draws.jump_uniform[bar] / process.jump_rate * substeps)
        opened = price = high = low = lasting + passing
        for step in range(substeps):
            lasting += drift + volatility * process.lasting_step * draws.lasting[bar, step]
            if step == jump_step:
                lasting += volatility * process.jump_size * draws.jump[bar]
            pressure *= process.pressure_persistence_per_step
            pressure += volatility * process.pressure_step * draws.pressure[bar, step]
            passing = process.passing_persistence_per_step * passing + pressure
            price = lasting + passing
            high = max(high, price)
            low = min(low, price)
        log_prices[bar] = np.array([opened, high, low, price])
        height = (high - low) / (MEDIAN_RANGE * process.volatility)
        log_activity[bar] = np.log(max(height * np.exp(log_volatility), 1e-12))
    state[:] = np.array([lasting, passing, pressure, log_volatility, flow])
    return log_prices, log_activity


def _log_volume(settings: SyntheticSettings, log_activity: Floats, noise: Floats) -> Floats:
    """Return log volume (bars,) in base units."""
    minutes = settings.bar_seconds / SECONDS_PER_MINUTE
    level = math.log(settings.volume_level * minutes)
    return level + settings.volume_elasticity * log_activity + settings.volume_variation * noise


# As in the simulation, those of the system's library: numpy's, for whole arrays, have other last
# digits where the processor has AVX-512, and the same market would be other data there.
@kept
def _exponentials(values: Floats) -> Floats:
    result = np.empty_like(values)
    for at in np.ndindex(values.shape):
        result[at] = math.exp(values[at])
    return result


def _candles(settings: SyntheticSettings, columns: Floats) -> Candles:
    bar_ms = settings.bar_seconds * 1000
    ts_ms = START_MS + bar_ms * np.arange(len(columns), dtype=np.int64)
    values = {name: np.ascontiguousarray(columns[:, at]) for at, name in enumerate(_COLUMNS)}
    source = DataSource(
        kind="synthetic",
        path="synthetic",
        sha256=_arrays_hash(ts_ms, values),
        rows=len(ts_ms),
        bar_ms=bar_ms,
        start_ms=START_MS,
        end_ms=START_MS + bar_ms * len(ts_ms),
        gaps=(),
    )
    return Candles(ts_ms=ts_ms, source=source, **values)
