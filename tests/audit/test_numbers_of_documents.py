"""Numbers of the documents: the project's own are true, and planted faults are found."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from makerlab.audit.documents.check import audit_documents
from makerlab.audit.documents.listing import read_listing
from makerlab.audit.findings import FAILED, PASSED, SKIPPED, failed
from makerlab.errors import UserError

REPOSITORY = Path(__file__).parents[2]

README = """\
# A lab

It earned 1,234.6 in 8 runs, -3 % of which were luck, on 2026-11-24 with Python 3.11.7.

| who | profit | fills |
|---|---|---|
| maker | 12.5 [11.0, 14.0] | 20 |
| taker | -7.25 [-8.0, -6.5] | 3 |

```sh
python make.py --steps 20000
```

```text
step  profit
   1    10.5
[...]
   3    30.5
```

A year has 365 days; see [more](docs/more.md#20), http://127.0.0.1:8265.
"""
MORE = "Steps: `20000`. The second best earned\n1.5 less.\n"
NUMBERS = """\
generated: []
artefacts:
  docs/runs.csv: python make.py
  docs/makers.json: python make.py
  docs/log.txt: make all
documents:
  README.md:
    - text: It earned {} in 8 runs
      artefact: docs/runs.csv
      values: [run=a -> profit]
    - table: "| maker |"
      artefact: docs/makers.json
      names: {maker: first}
      columns:
        - ["{row}.profit.value", "{row}.profit.low", "{row}.profit.high"]
        - ["{row}.fills"]
    - {output: step  profit, artefact: docs/log.txt}
    - {given: 365 days, because: a definition}
  docs/more.md:
    - text: The second best earned {} less.
      artefact: docs/runs.csv
      values: [{at: run=a -> profit, minus: run=b -> profit}]
"""
FILES = {
    "README.md": README,
    "make.py": "",
    "Makefile": "all:\n",
    "docs/more.md": MORE,
    "docs/numbers.yaml": NUMBERS,
    "docs/runs.csv": "run,profit\na,1234.56\nb,1233.06\n",
    "docs/makers.json": '{"first": {"profit": {"value": 12.54, "low": 11.01, "high": 13.96},'
    ' "fills": 20}, "taker": {"profit": {"value": -7.25, "low": -8, "high": -6.5}, "fills": 3}}',
    "docs/log.txt": "step profit\n1 10.5\n2 20.5\n3 30.5\n",
}


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def edit(folder: Path, name: str, old: str, new: str) -> None:
    text = (folder / name).read_text()
    assert old in text
    (folder / name).write_text(text.replace(old, new, 1))


def faults(folder: Path) -> list[str]:
    """Return what is wrong, each with the document it was found for."""
    return [
        f"{name}: {text}"
        for name, findings in audit_documents(folder).items()
        for finding in findings
        if finding.outcome == FAILED
        for text in finding.evidence
    ]


def test_every_number_of_the_projects_documents_is_in_an_artefact() -> None:
    assert faults(REPOSITORY) == []


def test_few_pages_wait_and_each_says_why() -> None:
    waiting = read_listing(REPOSITORY).waiting
    outcomes = {name: found[0].outcome for name, found in audit_documents(REPOSITORY).items()}
    assert {name for name, outcome in outcomes.items() if outcome == SKIPPED} <= set(waiting)
    assert outcomes["README.md"] == PASSED


def test_a_true_lab_passes(lab: Path) -> None:
    audits = audit_documents(lab)
    assert not any(failed(found) for found in audits.values())
    assert set(audits) == {"README.md", "docs/more.md", "docs/numbers.yaml"}


PLANTED: dict[str, tuple[str, str, str, str]] = {
    "a number of a sentence": (
        "README.md",
        "1,234.6",
        "1,235.6",
        "README.md:3: the document says 1,235.6, docs/runs.csv 1234.56 (run=a -> profit)",
    ),
    "one digit too many": ("README.md", "1,234.6", "1,234.57", "says 1,234.57"),
    "a cell": ("README.md", "12.5 [", "12.6 [", "README.md:7: the document says 12.6"),
    "an end of an interval": ("README.md", "14.0]", "15.0]", "README.md:7: the document says 15.0"),
    "a small count in a table": ("README.md", "| 3 |", "| 4 |", "README.md:8: the document says 4"),
    "a sign": ("README.md", "-7.25", "7.25", "the document says 7.25"),
    "a line of output": ("README.md", "3    30.5", "3    31.5", "README.md:18: not so in docs/log"),
    "a line left out in silence": ("README.md", "[...]\n", "", "README.md:17: not so in docs/log"),
    "a number nobody listed": (
        "README.md",
        "A year",
        "It took 77 s. A year",
        "README.md:21: 77 is in no artefact that docs/numbers.yaml lists",
    ),
    "output nobody listed": (
        "docs/more.md",
        "Steps",
        "```\nprofit 99.5\n```\n\nSteps",
        "docs/more.md:2: output that no artefact holds: 'profit 99.5'",
    ),
    "a row nobody made": (
        "README.md",
        "| taker |",
        "| giver |",
        "no number at 'giver.profit.value'",
    ),
    "a sentence that has gone": ("README.md", "in 8 runs", "in a run", "stands 0 times"),
    "an artefact": ("docs/runs.csv", "1234.56", "1234.77", "the document says 1,234.6"),
    "a difference in an artefact": ("docs/runs.csv", "1233.06", "1233.26", "docs/more.md:2: "),
    "an artefact's column": ("docs/runs.csv", "profit", "gain", "no number at 'run=a -> profit'"),
    "an artefact of JSON, cut off": ("docs/makers.json", "}}", "", "docs/makers.json: damaged"),
    "an output's artefact": (
        "docs/log.txt",
        "1 10.5",
        "1 10.6",
        "README.md:16: not so in docs/log",
    ),
    "a command that is not there": (
        "docs/numbers.yaml",
        "runs.csv: python make.py",
        "runs.csv: python made.py",
        "docs/runs.csv: made by 'python made.py', but there is no made.py",
    ),
    "a target that is not there": ("docs/numbers.yaml", "make all", "make some", "is no some"),
    "an artefact without a command": (
        "docs/numbers.yaml",
        "  docs/log.txt: make all\n",
        "",
        "docs/log.txt: no command is listed that makes it",
    ),
    "a given that is not said": ("README.md", "365 days", "366 days", "366 is in no artefact"),
}


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_fault_is_found(lab: Path, name: str) -> None:
    file, old, new, told = PLANTED[name]
    edit(lab, file, old, new)
    assert any(told in text for text in faults(lab)), faults(lab)


def test_an_artefact_that_is_not_there_is_a_fault(lab: Path) -> None:
    (lab / "docs" / "log.txt").unlink()
    assert any("docs/log.txt: there is no such artefact" in text for text in faults(lab))


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project's documents, artefacts, and what makes them."""
    folder = tmp_path_factory.mktemp("own")
    shutil.copytree(REPOSITORY / "docs", folder / "docs")
    for name in ("README.md", "Makefile", *read_listing(REPOSITORY).artefacts):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(REPOSITORY / name, folder / name)
    for folder_name in ("scripts", "benchmarks"):
        shutil.copytree(REPOSITORY / folder_name, folder / folder_name, dirs_exist_ok=True)
    return folder


def changed_digit(text: str, at: int) -> str:
    return text[:at] + str((int(text[at]) + 5) % 10) + text[at + 1 :]


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ("README.md", "2 min 39 s"),
        ("README.md", "| 25 x 80,000 |"),
        ("docs/l2_replay.md", "| 18.54 |"),
        ("docs/walk_forward.md", "from 2,409"),
        ("docs/synthetic.md", "-26.87"),
        ("docs/metrics.md", "0.457243 | three"),
    ],
)
def test_a_changed_digit_of_the_projects_documents_is_found(
    own: Path, document: str, words: str
) -> None:
    path = own / document
    text = path.read_text()
    begin = text.index(words)
    digits = [begin + i for i, c in enumerate(words) if c.isdigit()]
    path.write_text(changed_digit(text, digits[-1]))
    try:
        assert any(text.startswith(f"{document}: ") for text in faults(own))
    finally:
        path.write_text(text)
    assert faults(own) == []


BAD: dict[str, tuple[Callable[[Path], object], str]] = {
    "no documents": (lambda lab: (lab / "README.md").unlink(), "README.md: holds no documents"),
    "no listing": (lambda lab: (lab / "docs/numbers.yaml").unlink(), "numbers.yaml: missing"),
    "an unknown entry": (
        lambda lab: edit(lab, "docs/numbers.yaml", "given: 365 days", "taken: 365 days"),
        "expected an entry with 'text', 'table', 'output' or 'given'",
    ),
    "a reason that is none": (
        lambda lab: edit(lab, "docs/numbers.yaml", "a definition", "''"),
        "documents.README.md.3.given.because",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_told_in_one_line(lab: Path, name: str) -> None:
    damage, told = BAD[name]
    damage(lab)
    with pytest.raises(UserError) as error:
        audit_documents(lab)
    assert told in str(error.value) and "\n" not in str(error.value)


def test_the_script_says_what_it_found_and_ends_with_1(lab: Path) -> None:
    edit(lab, "README.md", "1,234.6", "9,234.6")
    command = [sys.executable, str(REPOSITORY / "scripts" / "audit.py"), "--documents", str(lab)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 1 and "9,234.6" in done.stdout and done.stderr == ""
    edit(lab, "README.md", "9,234.6", "1,234.6")
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0 and "3 passed, 0 failed" in done.stdout
