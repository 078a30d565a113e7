"""Keys of a config file that a stronger source replaces: changing them there changes nothing."""

from collections.abc import Sequence
from pathlib import Path

from makerlab.config.load import Config, given_keys, read_yaml
from makerlab.config.settings import SearchSpace

TUNED_KEYS = tuple(f"train.{name}" for name in SearchSpace.model_fields)
"""What tuning chooses, whatever a config says of it."""


def replaced_keys(
    path: Path, *, overlays: Sequence[Path], tuned: bool
) -> tuple[list[str], list[str]]:
    """Return the dotted keys of a config file that tuning chooses, and those an overlay gives."""
    own = list(given_keys(read_yaml(path)))
    chosen = [key for key in own if tuned and key in TUNED_KEYS]
    again = {key for overlay in overlays for key in given_keys(read_yaml(overlay))}
    return chosen, [key for key in own if key in again]


def used_settings(config: Config, *, tuned: bool) -> dict[str, object]:
    """Return what of an effective config can change a result; names and notes can't."""
    content: dict[str, object] = config.to_dict()
    del content["run"]
    train = dict(content["train"])  # type: ignore[call-overload]
    if tuned:
        for key in TUNED_KEYS:
            del train[key.removeprefix("train.")]
    return content | {"train": train}
