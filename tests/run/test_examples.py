"""The examples of this repository, run by the command that their readers would type."""

import re
from pathlib import Path

import pytest

from bot.demo import environment
from bot.resources import EXAMPLES
from tests.run.person import Person
from tests.run.repository import Repository

pytestmark = [pytest.mark.service, pytest.mark.slow, pytest.mark.timeout(600)]

KEPT = Path(__file__).parents[2] / ".demo" / "for-run-tests"
"""Keeps an environment with scikit-learn from one run of the tests to the next; the first installs it from PyPI."""


def test_digits(tmp_path: Path) -> None:
    digits = EXAMPLES / "digits"
    KEPT.mkdir(parents=True, exist_ok=True)
    made = environment.make(KEPT, [digits / "requirements.txt"])
    person = Person(Repository(tmp_path / "somewhere", {}), tmp_path / "state")

    done = person.run(str(digits), "--branch", "main", "--environment", str(made))

    assert (done.status, done.complained) == (0, "")
    assert re.search(r"^  ✓  tensorflow:accuracy +0\.9\d+ +0\.\d+ +0\.9\d+ +0\.9\d\d  > 0\.93$", done.said, re.M)
    assert re.search(r"^  ✓  custom:wrong +\d+\.000  0 to 60$", done.said, re.M)
    assert re.search(r"^✓ smoke / two-epochs  Succeeded in .+ · accuracy 0\.\d", done.said, re.M)
    [picture, *_] = re.findall(r"^  picture +file://(/\S+\.png)$", done.said, re.M)
    assert Path(picture).read_bytes().startswith(b"\x89PNG")
    [curves, *_] = re.findall(r"^  curves +tensorboard --logdir (/\S+)$", done.said, re.M)
    assert any(path.name.startswith("events.out.tfevents") for path in Path(curves).rglob("*"))
    assert done.said.endswith("✓ 4 of 4 gates passed\n")
