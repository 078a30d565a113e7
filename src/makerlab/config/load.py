"""From a YAML file to the effective config: flags > environment > YAML > includes > defaults."""

import copy
import functools
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, Field, ValidationError, model_validator

from makerlab.config.base import Settings
from makerlab.config.problems import first_problem
from makerlab.config.segments import DataSplitSettings
from makerlab.config.settings import (
    CANDLES,
    DataSettings,
    EnvSettings,
    EvaluateSettings,
    RunSettings,
    TrainSettings,
    TuneSettings,
)
from makerlab.errors import UserError, nearest
from makerlab.files import content_hash

ENVIRONMENT_PREFIX = "MAKERLAB__"

ALTERNATIVES = {
    "env.base_spread": "env.base_spread_bps",
    "env.base_spread_bps": "env.base_spread",
}
"""Keys that say the same thing in another unit: given by a stronger source, one drops the other."""


class Config(Settings):
    """The effective config of a run, all sources merged."""

    task: Literal["market_making"] = Field("market_making", description="What is learned.")
    env: EnvSettings = Field(description="The environment.")
    train: TrainSettings = Field(default_factory=TrainSettings, description="Training.")
    tune: TuneSettings = Field(default_factory=TuneSettings, description="Tuning.")
    evaluate: EvaluateSettings = Field(default_factory=EvaluateSettings, description="Judging.")
    run: RunSettings = Field(default_factory=RunSettings, description="Names and notes.")
    data: DataSettings = Field(default_factory=DataSettings, description="Candles.")
    data_split: DataSplitSettings = Field(
        default_factory=DataSplitSettings, description="Segments."
    )

    @model_validator(mode="after")
    def _check(self) -> "Config":
        folds = self.data_split.walk_forward.folds
        if folds and self.env.market != CANDLES:
            raise ValueError(
                f"data_split.walk_forward.folds is {folds} on env.market {self.env.market}, whose "
                "episodes have no order in time; leave it out, or give env.market candles"
            )
        if self.tune.metric == "objective" and not self.env.simulates:
            raise ValueError(
                "tune.metric is objective, which only markets with a known answer have; choose "
                "another, or another env.market"
            )
        return self

    def to_dict(self) -> dict[str, Any]:
        """Return plain lists, numbers and strings, fit for YAML and JSON."""
        return self.model_dump(mode="json")

    def to_yaml(self) -> str:
        """Return the effective config as YAML; `stored_config` reads it back equal."""
        return yaml.dump(self.to_dict(), Dumper=_Dumper, sort_keys=False, allow_unicode=True)

    @property
    def hash(self) -> str:
        """The sha256 of the effective config; notes don't change a result and don't count."""
        content = self.to_dict()
        del content["run"]["notes"]
        return content_hash(content)

    def with_values(self, values: Mapping[str, Any], *, source: str = "override") -> "Config":
        """Return a copy with dotted keys replaced, validated again; errors name the source."""
        content = self.to_dict()
        for key, value in values.items():
            _set_dotted(content, key, value, source=source)
        return validate_config(content, source=source)


def load_config(
    path: Path,
    *,
    overlays: tuple[Path, ...] = (),
    tuned: Mapping[str, Any] | None = None,
    flags: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] | None = None,
) -> Config:
    """Read a config file and merge profile overlays, environment variables and flags over it.

    `include: [FILE, ...]` in the config names files of settings, beside it or by absolute path,
    that lie under its own; of several, later ones win.
    `tuned` and `flags` map dotted keys (`train.seed`) to values; tuned parameters replace what the
    files say and yield to environment variables and flags. A value of None is the YAML null: it
    overrides like any other, so leave out flags that were not given.
    Raises UserError naming the file, the key, what was found and the nearest valid key.
    """
    own = read_yaml(path)
    included = [path.parent / name for name in _pop_includes(own, source=str(path))]
    layers = [(file, read_yaml(file)) for file in included]
    layers += [(path, own), *((overlay, read_yaml(overlay)) for overlay in overlays)]
    content: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for file, layer in layers:
        check_keys(layer, source=str(file))
        content = _merged(content, layer)
        origins |= dict.fromkeys(given_keys(layer), str(file))
    given = [(key, value, "tuned parameters") for key, value in (tuned or {}).items()]
    set_outside = environment_values(os.environ if environment is None else environment)
    given += [(key, value, f"environment variable {name}") for key, value, name in set_outside]
    given += [(key, value, "command line") for key, value in (flags or {}).items()]
    for key, value, source in given:
        _set_dotted(content, key, value, source=source)
        origins[key] = source
    return validate_config(content, source=str(path), origins=origins)


def _pop_includes(content: dict[str, Any], *, source: str) -> list[str]:
    """Take the names of included files out of a config; raises UserError for anything else."""
    names = content.pop("include", [])
    if not isinstance(names, list) or not all(isinstance(name, str) and name for name in names):
        raise UserError(f"{source}: include is {names!r}, expected a list of YAML files")
    return list(names)


def read_yaml(path: Path, *, expected: str = "sections such as env and train") -> dict[str, Any]:
    """Read a YAML mapping; raises UserError for a missing, unreadable or malformed file."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        hint = _nearby_file(path)
        raise UserError(f"{path}: no such config file{hint}") from None
    except IsADirectoryError:
        raise UserError(f"{path}: found a directory, expected a YAML file") from None
    except UnicodeDecodeError:
        raise UserError(f"{path}: not UTF-8 text, expected a YAML file") from None
    try:
        content = copy.deepcopy(_parsed(text))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" line {mark.line + 1}:" if mark else ""
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise UserError(f"{path}:{line} not valid YAML: {problem}") from None
    if content is None:
        raise UserError(f"{path}: the file is empty, expected {expected}")
    if not isinstance(content, dict):
        raise UserError(f"{path}: found a {type(content).__name__}, expected a mapping of sections")
    return content


@functools.lru_cache(maxsize=1024)
def _parsed(text: str) -> Any:
    """Return what YAML says, to be copied before it is changed: a matrix reads a config often."""
    return yaml.load(text, Loader=_UniqueKeyLoader)


def stored_config(path: Path) -> Config:
    """Read an effective config that a run stored; raises UserError when it is damaged."""
    return validate_config(read_yaml(path), source=str(path))


def check_keys(content: Mapping[str, Any], *, source: str) -> None:
    """Refuse unknown sections and keys, naming the nearest valid one."""
    for key, model in _walk(content, Config, prefix=""):
        section, _, name = key.rpartition(".")
        place = f"section '{section}'" if section else "the config"
        raise UserError(f"{source}: unknown key '{name}' in {place}; {nearest(name, model)}")


def dotted_keys(model: type[BaseModel] = Config, prefix: str = "") -> Iterator[str]:
    """Yield every key of a config in dotted form."""
    for name, field in model.model_fields.items():
        section = _section_model(field.annotation)
        if section is None:
            yield prefix + name
        else:
            yield from dotted_keys(section, f"{prefix}{name}.")


@functools.cache
def known_keys() -> frozenset[str]:
    """Return every key of a config in dotted form."""
    return frozenset(dotted_keys())


def describe(key: str) -> str:
    """Return the sentence that describes a dotted key, with its default."""
    *sections, name = key.split(".")
    model: type[BaseModel] = Config
    for section in sections:
        model = _section_model(model.model_fields[section].annotation) or model
    field = model.model_fields[name]
    return f"{field.description} (default: {field.default})".replace("%", "%%")


class _UniqueKeyLoader(yaml.SafeLoader):
    """YAML's safe loader, but a key written twice is an error rather than a silent last-wins.

    It also reads 3e-4 as a number, as YAML 1.2 does and as everyone writing configs expects, and
    leaves dates as text: the settings check them and name the key, YAML would only fall over.
    """

    yaml_implicit_resolvers = {  # noqa: RUF012 - as PyYAML declares it
        first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith(":timestamp")]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                raise yaml.constructor.ConstructorError(
                    None, None, f"key {key!r} is not text", key_node.start_mark
                )
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"key '{key}' is given twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


class _Dumper(yaml.SafeDumper):
    """YAML's safe dumper, which quotes the text that `_UniqueKeyLoader` would read as a number."""


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    """Quote what YAML takes for the end of a line and would fold into a space."""
    style = '"' if set(text) & set("\x85\u2028\u2029\ufeff") else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _represent_text)

for _kind in (_UniqueKeyLoader, _Dumper):
    _kind.add_implicit_resolver(
        "tag:yaml.org,2002:float",
        re.compile(r"^[-+]?(?:[0-9][0-9_]*)(?:\.[0-9_]*)?[eE][-+]?[0-9]+$"),
        list("-+0123456789"),
    )


def _walk(
    content: Mapping[str, Any], model: type[BaseModel], prefix: str
) -> Iterator[tuple[str, list[str]]]:
    """Yield (dotted unknown key, valid names beside it)."""
    for key, value in content.items():
        if key not in model.model_fields:
            yield prefix + str(key), list(model.model_fields)
            continue
        section = _section_model(model.model_fields[key].annotation)
        if section is not None and isinstance(value, Mapping):
            yield from _walk(value, section, f"{prefix}{key}.")


def _section_model(annotation: Any) -> type[BaseModel] | None:
    is_model = isinstance(annotation, type) and issubclass(annotation, BaseModel)
    return annotation if is_model else None


def _merged(base: Mapping[str, Any], overlay: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(base)
    for key, value in overlay.items():
        below = result.get(key)
        if isinstance(below, Mapping) and isinstance(value, Mapping):
            result[key] = _merged(below, value)
        else:
            result[key] = value
    return result


def environment_values(environment: Mapping[str, str]) -> Iterator[tuple[str, Any, str]]:
    """Yield (dotted key, value, variable) of MAKERLAB__SECTION__KEY variables, weakest first.

    Raises UserError naming the variable and the nearest valid key.
    """
    valid = known_keys()
    for variable in sorted(environment):
        if not variable.startswith(ENVIRONMENT_PREFIX):
            continue
        key = variable.removeprefix(ENVIRONMENT_PREFIX).lower().replace("__", ".")
        if key not in valid:
            hint = nearest(key, valid)
            raise UserError(f"environment variable {variable}: unknown key '{key}'; {hint}")
        yield key, parse_value(environment[variable]), variable


def parse_value(text: str) -> Any:
    """Read a flag's or variable's text as YAML does, so that 8, 3e-4 and [64, 64] are typed."""
    try:
        return yaml.load(text, Loader=_UniqueKeyLoader)
    except yaml.YAMLError:
        return text


def _set_dotted(content: dict[str, Any], key: str, value: Any, *, source: str) -> None:
    valid = known_keys()
    if key not in valid:
        raise UserError(f"{source}: unknown key '{key}'; {nearest(key, valid)}")
    *sections, name = key.split(".")
    place = content
    for section in sections:
        inner = place.get(section)
        place[section] = dict(inner) if isinstance(inner, Mapping) else {}
        place = place[section]
    _drop_alternative(place, key)
    place[name] = value


def _drop_alternative(section: dict[str, Any], key: str) -> None:
    """A base spread given by a stronger source replaces the other unit given by a weaker one."""
    if key in ALTERNATIVES:
        section.pop(ALTERNATIVES[key].rpartition(".")[2], None)


def validate_config(
    content: Any, *, source: str, origins: Mapping[str, str] | None = None
) -> Config:
    """Return the config of merged content.

    Raises UserError naming the key, what was found, and where it was given: `origins` says so of
    dotted keys that do not come from `source`.
    """
    if not isinstance(content, Mapping):
        raise UserError(f"{source}: expected a mapping of sections")
    check_keys(content, source=source)
    if content.get("env") is None:
        raise UserError(f"{source}: section 'env' is missing")
    try:
        return Config.model_validate(content)
    except ValidationError as error:
        place, problem = first_problem(error)
        found = [origin for key, origin in (origins or {}).items() if _is_within(place, key)]
        raise UserError(f"{found[-1] if found else source}: {problem}") from None


def _is_within(place: str, key: str) -> bool:
    """Whether a place is a key or an element of its value."""
    return place == key or place.startswith(f"{key}.")


def given_keys(layer: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """Yield the dotted keys that a file of settings gives."""
    for key, value in layer.items():
        if isinstance(value, Mapping):
            yield from given_keys(value, f"{prefix}{key}.")
        else:
            yield prefix + key


def _nearby_file(path: Path) -> str:
    if not path.parent.is_dir():
        return f" ({path.parent} is not a directory)"
    names = [entry.name for entry in path.parent.iterdir() if entry.suffix in {".yaml", ".yml"}]
    return f"; {nearest(path.name, names)}" if names else ""
