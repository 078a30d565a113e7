"""What a matrix would start: exact commands and batch scripts, nothing started, nothing written."""

from collections.abc import Collection, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TextIO

from makerlab.errors import UserError
from makerlab.launchers.base import Job
from makerlab.launchers.choose import places
from makerlab.launchers.preview import preview
from makerlab.launchers.settings import load_launcher
from makerlab.matrix.jobs import StageWorkshop
from makerlab.matrix.ledger import Ledger
from makerlab.matrix.options import STAGES, MatrixOptions
from makerlab.matrix.plan import (
    ANALYZE,
    Work,
    build_graph,
    folds_of,
    load_experiments,
    notes,
)
from makerlab.runs.directory import groups_directory

_AFTER = {
    "train": "its parameters are to be tuned anew first",
    "evaluate": "its command names the run, which is to be trained first",
}


def show_matrix(options: MatrixOptions, *, root: Path, output: TextIO) -> int:
    """Write what `run_matrix` would start for the same options; raises UserError as it does."""
    settings = load_launcher(options.launcher, debugger=options.debugger)
    experiments = load_experiments(options)
    ledger = Ledger(options, experiments)
    graph = build_graph(
        [each.name for each in experiments],
        options.seeds,
        options.stages,
        folds=folds_of(experiments),
    )
    open_work = dict.fromkeys(work for work in graph if not ledger.is_done(work))
    workshop = StageWorkshop(ledger, root, settings)
    limit = places(settings, options.jobs)
    for note in notes(experiments, options):
        output.write(f"# note: {note}\n")
    output.write(f"# {len(graph) - len(open_work)} of {len(graph)} are done\n")
    for stage in [stage for stage in STAGES if stage in options.stages]:
        ready: list[Work] = []
        later: list[Work] = []
        for work in open_work:
            if work.stage == stage:
                (later if _waits(work, ledger, open_work) else ready).append(work)
        jobs = _jobs(workshop, ledger, ready, free=limit)
        if jobs:
            output.write(f"\n# {stage}\n")
            for line in preview(settings, jobs, runs_dir=options.runs_dir, places=limit):
                output.write(f"{line}\n")
        for work in later:
            output.write(f"# {work}: {_AFTER[work.stage]}\n")
    if "analyze" in options.stages:
        job = workshop.job(ANALYZE)
        assert job is not None
        output.write("\n# analyze\n")
        for line in preview(load_launcher("local"), [job], runs_dir=options.runs_dir, places=1):
            output.write(f"{line}\n")
    return 0


def _waits(work: Work, ledger: Ledger, open_work: Collection[Work]) -> bool:
    """Whether the job of a piece of work is not known before an earlier stage has run."""
    if work.stage == "tune":
        return False
    try:
        run = ledger.complete_run(work)
    except UserError:
        # Parameters of other data or settings may lie there, which tuning is to replace.
        if replace(work, stage="tune", seed=None) in open_work:
            return True
        raise
    return work.stage == "evaluate" and run is None


def _jobs(workshop: StageWorkshop, ledger: Ledger, works: list[Work], *, free: int) -> list[Job]:
    """Return the jobs of one stage."""
    kinds: dict[object, list[Job]] = {}
    for work in works:
        job = workshop.job(work)
        if job is not None:
            kinds.setdefault(workshop.group_key(work) or work, []).append(job)
    groups = [group for jobs in kinds.values() for group in _packed(workshop, jobs, free)]
    # The name of the note is made up when the group is submitted.
    note = groups_directory(ledger.options.runs_dir) / "XXXXXXXX.jsonl"
    return [group[0] if len(group) == 1 else workshop.group(group, note) for group in groups]


def _packed(workshop: StageWorkshop, jobs: list[Job], free: int) -> Iterator[list[Job]]:
    """Yield the groups of jobs that may share a process."""
    while jobs:
        size = workshop.packing.size(len(jobs), free)
        yield jobs[:size]
        jobs, free = jobs[size:], max(free - 1, 1)
