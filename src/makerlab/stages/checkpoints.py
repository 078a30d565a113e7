"""Taking a training up from a file that may be damaged, or another training's."""

from pathlib import Path
from typing import Any

from makerlab.errors import UserError
from makerlab.learning.archive import DAMAGE, read_archive
from makerlab.learning.training import Training


def restore_checkpoint(path: Path, training: Training, *, beside: tuple[str, ...]) -> Any:
    """Bring a new training to the state a checkpoint holds; returns all that the file holds.

    `beside` names what it must hold beside the training. Raises UserError when the file is damaged
    or of another training; this one may then be half restored, and is of no more use.
    """
    content = read_archive(path)
    try:
        for name in beside:
            content[name]
        training.restore(content["training"])
    except DAMAGE as error:
        problem = (str(error).splitlines() or [type(error).__name__])[0].rstrip(":")
        raise UserError(f"{path}: not a checkpoint of this training ({problem})") from None
    return content
