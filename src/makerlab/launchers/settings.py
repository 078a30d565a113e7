"""What a launcher is told: configs/launchers/<name>.yaml, validated like every config."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, model_validator

from makerlab.config.base import (
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    Settings,
)
from makerlab.config.load import read_yaml
from makerlab.config.problems import first_problem
from makerlab.errors import UserError, nearest

FOLDER = Path("configs/launchers")

Word = Annotated[str, Field(min_length=1, pattern=r"^\S+$")]
Line = Annotated[str, Field(min_length=1, pattern=r"^[^\n]+$")]


class LocalSettings(Settings):
    """Processes of this machine, as many at once as --jobs says."""

    kind: Literal["local"] = Field("local", description="Processes of this machine.")


class DebugSettings(Settings):
    """The process of the matrix itself, one job after another."""

    kind: Literal["debug"] = Field("debug", description="The process of the matrix itself.")


class SlurmSettings(Settings):
    """Job arrays on a Slurm cluster; every node sees the same folders."""

    kind: Literal["slurm"] = Field("slurm", description="Job arrays on a Slurm cluster.")
    partition: Word | None = Field(None, description="Partition; the cluster's default if none.")
    account: Word | None = Field(None, description="Account to charge; yours if none.")
    qos: Word | None = Field(None, description="Quality of service; the cluster's if none.")
    gpus: NonNegativeInt = Field(0, description="GPUs of a job.")
    cpus: PositiveInt = Field(1, description="CPUs of a job; a stage computes on one.")
    memory_gb: PositiveFloat = Field(4.0, description="Memory of a job in GB.")
    minutes: PositiveInt = Field(
        240, description="Time limit of a job; one that reaches it is requeued and continues."
    )
    warning_seconds: PositiveInt = Field(
        120, description="Seconds before the time limit at which a job saves its state."
    )
    requeues: NonNegativeInt = Field(
        1000, description="Times that a job may reach its time limit before it counts as failed."
    )
    maximum_jobs: PositiveInt = Field(100, description="Jobs queued or running at once.")
    modules: tuple[Word, ...] = Field((), description="Modules to load before a job begins.")
    container: Line | None = Field(
        None, description="A command that runs Python in a container: apptainer exec --nv lab.sif."
    )
    setup: tuple[Line, ...] = Field((), description="Shell lines to run before a job begins.")
    options: dict[Word, str | int] = Field(
        {}, description="Further options of sbatch, such as {constraint: a100}."
    )
    poll_seconds: PositiveFloat = Field(10.0, description="Seconds between two looks at the queue.")

    @model_validator(mode="after")
    def _check(self) -> "SlurmSettings":
        if self.warning_seconds >= 60 * self.minutes:
            raise ValueError(
                f"warning_seconds is {self.warning_seconds}, expected less than the time limit "
                f"of {60 * self.minutes} seconds (minutes is {self.minutes})"
            )
        return self


class RaySettings(Settings):
    """Tasks on a Ray cluster; every node sees the same folders."""

    kind: Literal["ray"] = Field("ray", description="Tasks on a Ray cluster.")
    address: Word | None = Field(
        None, description="Address of the cluster, such as 10.0.0.1:6379; one found here if none."
    )
    cpus: PositiveFloat = Field(1.0, description="CPU slots of a job; a stage computes on one.")
    gpus: NonNegativeFloat = Field(
        0.0, description="GPU slots of a job; 0.25 lets four share one GPU."
    )
    memory_gb: PositiveFloat | None = Field(None, description="Memory of a job in GB to reserve.")
    retries: NonNegativeInt = Field(
        10, description="Times that a job is begun anew after its worker or node died."
    )
    maximum_jobs: PositiveInt = Field(100, description="Tasks waiting or running at once.")


LauncherSettings = LocalSettings | DebugSettings | SlurmSettings | RaySettings

KINDS: dict[str, type[LauncherSettings]] = {
    "local": LocalSettings,
    "debug": DebugSettings,
    "slurm": SlurmSettings,
    "ray": RaySettings,
}


def load_launcher(name: str, *, debugger: bool = False, folder: Path = FOLDER) -> LauncherSettings:
    """Return the settings of a launcher: `<folder>/<name>.yaml`, or a path that ends in .yaml.

    The kinds themselves need no file. Raises UserError naming the file, the key, what was found
    and the nearest valid choice; also when a `debugger` is wanted where none can be.
    """
    settings = _find(name, folder)
    if debugger and not isinstance(settings, DebugSettings):
        raise UserError(
            f"--debugger: launcher '{name}' runs stages in processes of their own, expected "
            "--launcher debug"
        )
    return settings


def _find(name: str, folder: Path) -> LauncherSettings:
    is_path = name.endswith((".yaml", ".yml"))
    path = Path(name) if is_path else folder / f"{name}.yaml"
    if not is_path and not path.is_file():
        if name in KINDS:
            return KINDS[name]()
        files = [entry.stem for entry in folder.glob("*.yaml")]
        raise UserError(f"launcher '{name}': no file {path}; {nearest(name, {*KINDS, *files})}")
    return _validated(read_yaml(path, expected="a kind and settings"), source=str(path))


def _validated(content: dict[str, Any], *, source: str) -> LauncherSettings:
    kind = content.get("kind")
    if kind not in KINDS:
        found = "kind is missing" if kind is None else f"kind is {kind!r}"
        raise UserError(f"{source}: {found}; {nearest(str(kind), KINDS)}")
    model = KINDS[kind]
    for key in content:
        if key not in model.model_fields:
            hint = nearest(key, model.model_fields)
            raise UserError(f"{source}: unknown key '{key}' of a {kind} launcher; {hint}")
    try:
        return model.model_validate(content)
    except ValidationError as error:
        raise UserError(f"{source}: {first_problem(error)[1]}") from None
