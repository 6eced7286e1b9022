"""The JSON Schema for editors, and the examples of the manual."""

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from bot.core.config import export_schema
from tests.core.config.files import accepted, sound
from tests.core.config.test_datasets import LISTED, LISTED_IN_VERSION_1
from tests.core.config.test_matrix import MATRIX
from tests.core.config.test_search import SEARCH
from tests.core.config.test_version1 import GRPC, SINGLE
from tests.core.config.test_version2 import EVERYTHING, WITH_FILE

DOCS = Path(__file__).parents[3] / "docs"
EXAMPLES = re.findall(r"```yaml\n(.*?)```", (DOCS / "config.md").read_text(), re.DOTALL)
VALIDATOR = jsonschema.Draft7Validator(export_schema())


def complaints(text: str) -> list[str]:
    """What an editor would underline. Dates are text to us; an editor's YAML agrees when they are quoted."""
    value: Any = yaml.safe_load(text.replace("2024-01-31", "'2024-01-31'"))
    return [error.message for error in VALIDATOR.iter_errors(value)]


def test_the_file_beside_the_manual_is_the_codes() -> None:
    """When this fails: write `export_schema()` there again, as `json.dumps(…, indent=2, ensure_ascii=False)`."""
    written = (DOCS / "config.schema.json").read_text()

    assert written == json.dumps(export_schema(), indent=2, ensure_ascii=False) + "\n"


def test_it_is_a_schema() -> None:
    jsonschema.Draft7Validator.check_schema(export_schema())


@pytest.mark.parametrize(
    "text",
    [
        sound(),
        EVERYTHING,
        SINGLE,
        GRPC,
        WITH_FILE,
        SEARCH,
        MATRIX,
        LISTED,
        LISTED_IN_VERSION_1,
        *EXAMPLES,
    ],
)
def test_an_editor_underlines_nothing_in_a_sound_file(text: str) -> None:
    assert complaints(text) == []


@pytest.mark.parametrize(
    "text",
    [
        "version: 3",
        "workflows: {}",
        sound(step="modelPath: /a"),
        sound(params="isPreemptible: often"),
        sound(step="checks: {tensorflow:a: {target: high}}"),
        sound(step="checks: {tf:a: {target: 1}}"),
        sound(workflow="triggers: {events: [push]}"),
        sound(step="timeout: 10"),
        sound().replace("run_single_node", "run_singlenode"),
        SINGLE.replace("type: single", "type: double"),
        SINGLE.replace("machine-type", "machineType"),
        SEARCH.replace("loguniform", "lognormal"),
        SEARCH.replace("goal: minimize", "goal: best"),
        SEARCH.replace("trials: 30", "trials: 0"),
        MATRIX.replace("report: each", "report: all"),
        MATRIX.replace("seed: [1, 2]", "seed: []"),
        LISTED.replace("uri:", "url:"),
    ],
)
def test_an_editor_underlines_what_is_wrong(text: str) -> None:
    assert complaints(text) != []


def test_the_manual_has_examples_and_each_is_sound() -> None:
    assert len(EXAMPLES) >= 3
    for example in EXAMPLES:
        accepted(example)
