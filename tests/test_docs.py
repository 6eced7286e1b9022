"""What people are told, held against what is there: links, settings, commands, configs, SQL."""

import ast
import re
import sqlite3
import sys
import textwrap
from contextlib import closing
from pathlib import Path

import pytest

from bot import settings
from bot.core import config

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
WRONG = ROOT / "docs" / "when-things-go-wrong.md"


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.M | re.S)


def prose(page: Path) -> str:
    """The page without its blocks of code."""
    return re.sub(r"^```.*?^```", "", page.read_text(), flags=re.M | re.S)


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives a page's headings: lower case, no punctuation, hyphens for spaces."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_link_leads_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if link.startswith(("http://", "https://")):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{name(page)} links to {link}"
        assert not anchor or anchor in anchors(target), f"{name(page)} links to {link}; there are {anchors(target)}"


def test_every_decision_stands_in_the_design() -> None:
    listed = re.findall(r"\[(\d{4})\]\(decisions/(\S+)\) \|", (ROOT / "docs" / "design.md").read_text())
    decisions = sorted(path.name for path in (ROOT / "docs" / "decisions").glob("*.md"))
    assert [file for _, file in listed] == decisions
    for number, file in listed:
        assert (ROOT / "docs" / "decisions" / file).read_text().startswith(f"# {number} — ")


def test_every_setting_is_explained() -> None:
    read = set(re.findall(r'"([A-Z]{4,}(?:_[A-Z]+)*)"', Path(settings.__file__).read_text()))
    rows = re.findall(r"^\| (`[A-Z].+?`) \|", (ROOT / "docs" / "settings.md").read_text(), re.M)
    assert read == {setting for row in rows for setting in re.findall(r"`([A-Z_]+)`", row)}


def test_the_readmes_config_is_a_good_one() -> None:
    [example] = [block for block in blocks(ROOT / "README.md", "yaml") if "version: 2" in block]
    loaded = config.load(example.encode(), "config.yaml", lambda _path: b"")
    assert loaded.problems == ()
    assert loaded.config is not None


def test_the_readmes_steps_are_good_ones() -> None:
    steps = [block for block in blocks(ROOT / "README.md", "yaml") if block.startswith("- name:")]
    assert len(steps) == 4
    for step in steps:
        text = "version: 2\nworkflows:\n  example:\n    steps:\n" + textwrap.indent(step, " " * 6)
        assert config.load(text.encode(), "config.yaml", lambda _path: b"").problems == (), step


@pytest.mark.skipif(
    sqlite3.sqlite_version_info < (3, 38), reason="`unixepoch` came with SQLite 3.38; this Python has an older one"
)
def test_the_sql_that_people_are_told_fits_the_tables(empty_database: Path) -> None:
    statements = [one for block in blocks(WRONG, "sql") for one in block.split(";") if one.strip()]
    statements += re.findall(r"`(DELETE FROM .+?;)`", WRONG.read_text())
    assert len(statements) > 10
    with closing(sqlite3.connect(f"file:{empty_database}?mode=ro", uri=True)) as connection:
        for statement in statements:
            connection.execute(f"EXPLAIN {_without_remarks(statement)}")


def _without_remarks(statement: str) -> str:
    return "\n".join(line for line in statement.splitlines() if not line.startswith("--"))


def test_the_python_that_is_asked_for() -> None:
    wanted = re.search(r'requires-python = ">=(3\.\d+)"', (ROOT / "pyproject.toml").read_text())
    assert wanted is not None
    assert f"Python {wanted[1]} or newer" in (ROOT / "README.md").read_text()
    assert sys.version_info >= tuple(int(part) for part in wanted[1].split("."))


SECURITY = ROOT / "docs" / "security.md"


def _tests_in(file: Path) -> set[str]:
    """The names of the tests that a file defines, those in classes too."""
    return {
        node.name
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }


def test_every_test_that_stands_for_a_defence_is_there() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", SECURITY.read_text())
    assert len(named) > 100
    files = {file: _tests_in(ROOT / file) if (ROOT / file).exists() else set() for file, _ in named}
    assert [f"{file}::{test}" for file, test in named if test not in files[file]] == []


def test_every_threat_has_a_defence_and_a_proof() -> None:
    rows = re.findall(r"^\| (?!threat|who|---)(.+) \|$", SECURITY.read_text().partition("## Pull requests")[2], re.M)
    assert len(rows) > 70
    for row in rows:
        threat, defence, proof = row.split(" | ")
        assert threat.strip()
        assert defence.strip()
        left = re.sub(r"`tests/[\w/]+\.py::\w+`", "", proof)
        assert left.strip(", ") == "", f"{threat}: {left}"
        assert left != proof, f"{threat} has no proof"
