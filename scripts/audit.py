"""Check finished runs again, or the numbers of the documents."""

import json
import sys
from pathlib import Path

from makerlab.cli import ArgumentParser, run_command


def _parser() -> ArgumentParser:
    parser = ArgumentParser(
        description=__doc__,
        epilog="Exit code: 0 no check failed, 1 a check failed, 2 bad input.",
    )
    parser.add_argument(
        "runs", type=Path, nargs="*", metavar="RUN", help="run directories (default: all runs)"
    )
    parser.add_argument(
        "--runs_dir", type=Path, default=Path("runs"), help="directory of runs (default: runs)"
    )
    parser.add_argument(
        "--documents",
        type=Path,
        nargs="?",
        const=Path(),
        metavar="FOLDER",
        help="audit no runs but README.md and docs/ of a project's folder (default: this one): "
        "every number in an artefact that a listed command makes",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object, no table")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Parse, audit, show the table; 1 when a check failed."""
    options = _parser().parse_args(argv)
    from makerlab.audit.checks import audit_runs
    from makerlab.audit.documents.check import audit_documents
    from makerlab.audit.report import audit_lines, audit_record, outcome_counts

    if options.documents is not None:
        audits = audit_documents(options.documents)
    else:
        audits = audit_runs(options.runs, runs_dir=options.runs_dir)
    if options.json:
        sys.stdout.write(json.dumps(audit_record(audits), indent=2) + "\n")
    else:
        sys.stdout.writelines(f"{line}\n" for line in audit_lines(audits))
    return 1 if outcome_counts(audits)["failed"] else 0


if __name__ == "__main__":
    run_command(main)
