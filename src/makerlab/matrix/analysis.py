"""Whether summary and plots still fit the runs that lie on disk."""

import hashlib
import json
from pathlib import Path

from makerlab.files import content_hash, file_hash, write_json
from makerlab.matrix.options import MatrixOptions
from makerlab.runs.directory import REPORT, SUMMARY, TABLES

_PACKAGE = Path(__file__).parents[1]


def is_analyzed(options: MatrixOptions) -> bool:
    """Return whether nothing has changed since the last analysis."""
    try:
        stored = json.loads(_stamp(options).read_bytes())
        return bool(stored == _state(options))
    except (FileNotFoundError, json.JSONDecodeError, UnicodeDecodeError):
        return False


def remember_analysis(options: MatrixOptions) -> None:
    """Note what was analyzed; call it after the analysis succeeded."""
    write_json(_stamp(options), _state(options))


def has_results(options: MatrixOptions) -> bool:
    """Return whether any run was evaluated."""
    return next(options.runs_dir.glob("*/*/evaluation/metrics.json"), None) is not None


def summary_path(options: MatrixOptions) -> Path:
    """Return where the table of all runs lies."""
    return options.runs_dir / SUMMARY


def tables_path(options: MatrixOptions) -> Path:
    """Return where the last analysis keeps what it told."""
    return options.runs_dir / TABLES


def _stamp(options: MatrixOptions) -> Path:
    return options.runs_dir / ".analysis.json"


def _state(options: MatrixOptions) -> dict[str, str]:
    """Return what the analysis reads and what it wrote; FileNotFoundError without tables."""
    inputs = []
    for pattern in ("*/*/manifest.json", "*/*/evaluation/metrics.json"):
        for path in sorted(options.runs_dir.glob(pattern)):
            stat = path.stat()
            inputs.append([str(path), stat.st_mtime_ns, stat.st_size])
    plots = sorted(path.name for path in options.plots_dir.glob("analysis_*"))
    return {
        "inputs": content_hash(inputs),
        "code": _code_hash(),
        "summary": file_hash(summary_path(options)),
        "tables": file_hash(tables_path(options)),
        "plots": content_hash([str(options.plots_dir), plots]),
        "report": str((options.runs_dir / REPORT).is_file()),
    }


def _code_hash() -> str:
    digest = hashlib.sha256()
    for path in sorted(_PACKAGE.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()
