"""The documents: commands and flags that exist, what scripts say, a site that builds."""

import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
from tests.docs.blocks import (
    DOCUMENTS,
    NEEDS_DATA,
    NOT_TYPED,
    REPOSITORY,
    blocks,
    words_after_scripts,
)
from tests.docs.reference import PAGE, help_of, page

MAKE_TARGETS = re.findall(r"^([a-z-]+):.*##", (REPOSITORY / "Makefile").read_text(), re.MULTILINE)


@cache
def flags_of(script: str) -> set[str]:
    return set(re.findall(r"--[A-Za-z][\w-]*", help_of(REPOSITORY / script)))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_commands_name_scripts_flags_and_targets_that_exist(document: Path) -> None:
    for block in blocks(document):
        for script, flags in words_after_scripts(block.text):
            if (REPOSITORY / script).is_file():
                unknown = set(flags) - flags_of(script)
                assert not unknown, f"{document.name}: {script} has no {unknown}"
            else:
                assert not script.startswith("scripts/"), f"{document.name}: no {script}"
        for target in re.findall(r"^make ([a-z-]+)", block.text, re.MULTILINE):
            assert target in MAKE_TARGETS, f"{document.name}: no make {target}"


TYPED_LINE = re.compile(r"^(?:\.venv/bin/|make |python |xargs |seq |sbatch )", re.MULTILINE)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_commands_stand_in_blocks_that_are_typed_or_say_why_not(document: Path) -> None:
    for block in blocks(document):
        if block.language == "sh":
            unknown = set(block.words) - set(NOT_TYPED) - {NEEDS_DATA}
            assert not unknown, f"{document.name}: no reason is known by the name {unknown}"
        elif block.language in {"", "text"}:
            assert not TYPED_LINE.search(block.text), f"{document.name}: not typed: {block.text}"


def test_the_page_of_commands_says_what_the_scripts_say() -> None:
    assert PAGE.read_text(encoding="utf-8") == page()


def test_the_site_builds_with_no_dead_link(tmp_path: Path) -> None:
    pytest.importorskip("mkdocs", reason="mkdocs is not installed (extra `docs`)")
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--site-dir", str(tmp_path)]
    result = subprocess.run(
        command, cwd=REPOSITORY, capture_output=True, text=True, check=False, timeout=300
    )
    assert result.returncode == 0, result.stderr
    start = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert "Maker Lab" in start
    assert "fonts.googleapis" not in start
