"""The stages as the scheduler sees them: their commands, their results, why one failed."""

import json
import shlex
import sys
from pathlib import Path

from makerlab.errors import UserError
from makerlab.launchers.base import Job, Outcome, describe_status
from makerlab.launchers.settings import LauncherSettings
from makerlab.matrix import analysis
from makerlab.matrix.ledger import Ledger
from makerlab.matrix.packing import Packing, computes_here, packing_of
from makerlab.matrix.plan import ANALYZE, Work
from makerlab.matrix.run_index import FoundRun
from makerlab.tuning.address import own_storage, storage_in_environment

SHOWN_LINES = 5
_GROUPED = {"tune": "tune_mm_sac.py", "train": "train_mm_sac.py"}


class StageWorkshop:
    """Writes the command lines of stages; `root` is the folder that holds the scripts."""

    def __init__(self, ledger: Ledger, root: Path, settings: LauncherSettings) -> None:
        self._ledger, self._options, self._root = ledger, ledger.options, root
        self._shared = not computes_here(settings)
        self._packing = packing_of(settings, ledger.options)

    def job(self, work: Work) -> Job | None:
        """Return the job of a piece of work, None when its result is there already.

        Raises UserError when it can't be done, such as an evaluation without a finished run.
        """
        if work != ANALYZE and self._ledger.is_done(work):
            return None
        makers = {
            "tune": self._tune,
            "train": self._train,
            "evaluate": self._evaluate,
            "analyze": self._analyze,
        }
        return makers[work.stage](work)

    @property
    def packing(self) -> Packing:
        """How many may share a process."""
        return self._packing

    def group_key(self, work: Work) -> object:
        """Return what work must have in common to share a process, None for work that can't."""
        if work.stage not in {"train", "tune"}:
            return None
        if work.stage == "tune":
            config = self._ledger.experiments[work.config_name].config
            return ("tune",) if config.train.learner == "fast" else None
        try:
            config = self._ledger.config_of(work)
        except UserError:
            # It is told when the work is begun.
            return None
        if config.train.learner != "fast":
            return None
        shared = ("net_arch", "batch_size", "train_freq", "gradient_steps", "precision")
        return ("train", *(getattr(config.train, name) for name in shared))

    def group(self, jobs: list[Job], outcomes: Path) -> Job:
        """Return the job that does several jobs of one stage in one process."""
        (stage,) = {job.stage for job in jobs}
        members = [word for job in jobs for word in ("--member", shlex.join(job.command[2:]))]
        flags = ("--stage", stage, "--outcomes", str(outcomes), *members)
        command = self._command("scripts/run_group.py", *flags)
        # Where outcomes go is no part of the key: it is another place each time.
        key = f"group {', '.join(job.key for job in jobs)}"
        return Job(", ".join(job.name for job in jobs), command, key, stage=stage)

    def check(self, work: Work) -> str | None:
        """Return what is wrong when a stage ended well but its result is not what was asked for."""
        if work == ANALYZE:
            analysis.remember_analysis(self._options)
            return None
        if self._ledger.is_done(work):
            return None
        # Of runs that end together the first finds all: folders are listed once for them.
        self._ledger.refresh()
        if self._ledger.is_done(work):
            return None
        return (
            "ended well but left no result that belongs to these inputs; were the config, the "
            "data or the code changed meanwhile?"
        )

    def failure(self, work: Work, job: Job, outcome: Outcome) -> tuple[str, ...]:
        """Return the last lines of a failed stage, the reason last."""
        lines = list(outcome.last_lines[-SHOWN_LINES:])
        if not lines and work.stage == "train":
            self._ledger.refresh()
            run = self._ledger.run_of(work)
            lines = [run.error["message"]] if run is not None and run.error else []
        *before, last = lines or [""]
        if job.log is not None and job.log.is_file():
            before.insert(0, f"its log: {job.log}")
        reason = describe_status(outcome.status)
        return (*before, f"{reason}: {last}" if last else reason)

    def _tune(self, work: Work) -> Job:
        experiment = self._ledger.experiments[work.config_name]
        return Job(
            name=str(work),
            stage=work.stage,
            command=self._command(
                _GROUPED["tune"], *self._config_flags(work), *self._storage(), "--to_the_end"
            ),
            key=f"tune {self._ledger.tuning(work).path}",
            log=self._options.logs_dir / f"{experiment.name}_tune.log",
        )

    def _train(self, work: Work) -> Job:
        experiment = self._ledger.experiments[work.config_name]
        flags = (*self._config_flags(work), "--seed", str(work.seed), "--reuse")
        return Job(
            name=str(work),
            stage=work.stage,
            command=self._command(_GROUPED["train"], *flags),
            key=f"train {self._ledger.train_key(work)}",
            log=self._options.logs_dir / f"{experiment.name}_train.log",
        )

    def _evaluate(self, work: Work) -> Job:
        run = self._ledger.complete_run(work)
        if run is None:
            raise UserError("there is no finished training run of these inputs; train first")
        flags = ["--model_path", str(run.directory.path), "--logs_dir", str(self._options.logs_dir)]
        flags += ["--device", self._options.device, *self._evaluate_settings(work, run)]
        return Job(
            name=str(work),
            stage=work.stage,
            command=self._command("scripts/evaluate_policy.py", *flags),
            key=f"evaluate {run.directory.path}",
            log=self._options.logs_dir / f"{run.directory.name}_eval.log",
        )

    def _analyze(self, work: Work) -> Job:
        options = self._options
        flags = ("--runs_dir", str(options.runs_dir), "--plots_dir", str(options.plots_dir))
        command = self._command("scripts/analyze_experiments.py", *flags)
        return Job(str(work), command, key="analyze", stage=work.stage, show_output=True)

    def _evaluate_settings(self, work: Work, run: FoundRun) -> list[str]:
        """Return flags for settings of judging that have changed since the run was trained."""
        settings = self._ledger.config_of(work).to_dict()["evaluate"]
        flags, before = [], run.evaluate_settings()
        for name, value in settings.items():
            if before.get(name) != value:
                flags += ["--set", f"evaluate.{name}={json.dumps(value)}"]
        return flags

    def _storage(self) -> tuple[str, ...]:
        """Return flags for studies that many hosts write, unless the environment says where."""
        if not self._shared or storage_in_environment() is not None:
            return ()
        return ("--storage", own_storage(self._options.runs_dir, shared=True))

    def _config_flags(self, work: Work) -> tuple[str, ...]:
        options = self._options
        flags = ["--config", str(self._ledger.experiments[work.config_name].path)]
        flags += [] if work.fold is None else ["--fold", str(work.fold)]
        flags += ["--profile", options.profile] if options.profile else []
        flags += ["--data", options.data] if options.data else []
        flags += ["--runs_dir", str(options.runs_dir), "--logs_dir", str(options.logs_dir)]
        return (*flags, "--device", options.device)

    def _command(self, script: str, *flags: str) -> tuple[str, ...]:
        return (sys.executable, str(self._root / script), *flags)
