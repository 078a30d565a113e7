"""docs/numbers.yaml: which artefact holds which number of the documents, and what makes it."""

from pathlib import Path
from typing import Annotated

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationError,
)

from makerlab.config.load import read_yaml
from makerlab.errors import UserError

LISTING = Path("docs/numbers.yaml")


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Value(_Model):
    """Where a number comes from: at - minus, over something, times something."""

    at: str = Field(description="Place in the artefact; `artefacts.py` has the notation.")
    artefact: str = Field("", description="Another file than that of the sentence.")
    minus: str = Field("", description="A second place, whose number is taken away.")
    over: str = Field("", description="A place whose number divides.")
    times: float = Field(1.0, description="A factor, such as 100 for percent.")
    unsigned: bool = Field(False, description="Whether the words say the sign ('a loss of 3').")


def _value(given: object) -> object:
    return {"at": given} if isinstance(given, str) else given


Where = Annotated[Value, BeforeValidator(_value)]


class Sentence(_Model):
    """Words of a document with `{}` in the place of each number."""

    text: str = Field(description="The words; a line break counts as a space.")
    artefact: str = Field("", description="The file that holds the numbers.")
    values: tuple[Where, ...] = Field(description="Where each number comes from, in order.")


class Rows(_Model):
    """A table of a document whose cells are looked up by row and column."""

    table: str = Field(description="Words that stand in this table alone.")
    artefact: str = Field(description="The file that holds the numbers.")
    names: dict[str, str] = Field(
        default_factory=dict, description="What a row's first cell is called in the artefact."
    )
    columns: tuple[tuple[str, ...], ...] = Field(
        description="Per column after the first: where its numbers come from, {row} the row's name."
    )


class Output(_Model):
    """A block of output or a table that stands in an artefact line by line."""

    output: str = Field(description="Words that stand in this block or table alone.")
    artefact: str = Field(description="The text file; `[...]` stands for lines left out.")


class Given(_Model):
    """Numbers that no run makes: definitions, conventions, sizes of an example."""

    given: str = Field(description="The words with the numbers in them.")
    because: str = Field(min_length=5, description="Why no artefact can hold them.")


def _kind(entry: object) -> str | None:
    """Return the key by which an entry is told from the other kinds."""
    kinds = ("text", "table", "output", "given")
    names = entry if isinstance(entry, dict) else vars(entry)
    return next((kind for kind in kinds if kind in names), None)


Entry = Sentence | Rows | Output | Given
TaggedEntry = Annotated[
    Annotated[Sentence, Tag("text")]
    | Annotated[Rows, Tag("table")]
    | Annotated[Output, Tag("output")]
    | Annotated[Given, Tag("given")],
    Discriminator(
        _kind,
        custom_error_type="entry",
        custom_error_message="expected an entry with 'text', 'table', 'output' or 'given'",
    ),
]


class Listing(_Model):
    """The whole file."""

    generated: frozenset[str] = Field(description="Pages that a test writes and compares.")
    waiting: dict[str, str] = Field(
        default_factory=dict, description="Pages whose numbers are not listed yet, and why."
    )
    artefacts: dict[str, str] = Field(description="Command that makes each artefact.")
    documents: dict[str, tuple[TaggedEntry, ...]] = Field(description="Entries by document.")


def read_listing(root: Path) -> Listing:
    """Read docs/numbers.yaml; raises UserError with the first fault in it."""
    path = root / LISTING
    if not path.is_file():
        raise UserError(f"{path}: missing, it lists where the documents' numbers come from")
    try:
        return Listing.model_validate(read_yaml(path))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise UserError(f"{path}: {place}: {first['msg']}") from None
