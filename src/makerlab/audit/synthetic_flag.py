"""Made-up data say so wherever a number of theirs stands."""

import csv
import json
import re
from pathlib import Path

import numpy as np

from makerlab.audit.findings import Evidence
from makerlab.audit.subject import AuditedRun
from makerlab.config import SYNTHETIC
from makerlab.data.synthetic import START_MS, generate_candles
from makerlab.runs.directory import SUMMARY

_MARKET_NAME = re.compile(
    r"(?<![a-z0-9])(btc|eth|sol|xrp|bnb|doge|ada|[a-z0-9]{2,6}[-_]?(usdt|usdc|usd|eur)|binance|"
    r"bybit|okx|kraken|coinbase|bitfinex|deribit)(?![a-z])",
    re.IGNORECASE,
)


def synthetic_data_say_so(run: AuditedRun) -> Evidence:
    """Find out from the data what they are and compare with what every artefact says."""
    evidence = Evidence()
    kind = _kind(run, evidence)
    said = {"manifest.json": run.manifest.get("data_source")}
    if run.directory.evaluation.metrics.is_file():
        said["metrics.json"] = run.metrics.get("data_source")
    tuned = run.manifest.get("tuned_params") or {}
    source = Path(str(tuned.get("source")))
    if source.is_file():
        said[source.name] = json.loads(source.read_bytes()).get("data_source")
    summary = run.runs_dir / SUMMARY
    if summary.is_file():
        with summary.open(newline="", encoding="utf-8") as file:
            rows = [row for row in csv.DictReader(file) if row["run"] == run.directory.name]
        if rows:
            said[SUMMARY] = rows[0].get("data_source")
    for name, value in said.items():
        evidence.equal(value, kind, what=f"{name}: data_source")
    if kind == SYNTHETIC:
        _check_name(run, evidence)
    evidence.fact(f"the data are of kind '{kind}', and so say {', '.join(said)}")
    return evidence


def _kind(run: AuditedRun, evidence: Evidence) -> str:
    """Return what the data are, whatever their file says of itself."""
    source = run.markets.source
    if source.kind == SYNTHETIC:
        return SYNTHETIC
    if int(run.candles.ts_ms[0]) == START_MS:
        evidence.fault(
            f"{source.path} says nothing of being synthetic but begins with the first bar of the "
            "synthetic market, years before any exchange it could come from"
        )
        return SYNTHETIC
    made_up = generate_candles(run.config.data.synthetic)
    bars = min(len(made_up), len(run.candles))
    if np.allclose(made_up.close[:bars], run.candles.close[:bars], rtol=1e-6):
        evidence.fault(f"{source.path} has the closes of the synthetic market under other dates")
        return SYNTHETIC
    return source.kind


def _check_name(run: AuditedRun, evidence: Evidence) -> None:
    recorded = str((run.manifest.get("data") or {}).get("path"))
    for path in {run.config.env.csv_path, recorded}:
        name = Path(path).name
        found = None if name.startswith("synthetic_") else _MARKET_NAME.search(name)
        if found is not None:
            evidence.fault(f"{path}: synthetic candles under the name of a market, '{found[0]}'")
