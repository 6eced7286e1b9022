"""The file's JSON Schema, for editors that complete and check while one types."""

from typing import Any

from pydantic.json_schema import models_json_schema

from bot.core.config.version1 import Version1
from bot.core.config.version2 import Version2


def export_schema() -> dict[str, Any]:
    """Return a JSON Schema (draft 7, which editors use) of the file in both versions.

    It describes the preferred spellings. What it cannot say (a regular expression's syntax, names that must differ)
    only `check-config` tells.
    """
    _, schema = models_json_schema(
        [(Version1, "validation"), (Version2, "validation")],
        title="Experiment CI",
        description=".ps_project/config.yaml, or config.yaml in the repository's root",
    )
    whole = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        **schema,
        "type": "object",
        "required": ["version"],
        "if": {"properties": {"version": {"enum": [1, "1"]}}},
        "then": {"$ref": "#/$defs/Version1"},
        "else": {"$ref": "#/$defs/Version2"},
    }
    # Pydantic describes the types that a value becomes, too; nothing in the file has their shape.
    written = repr(whole)
    whole["$defs"] = {name: part for name, part in whole["$defs"].items() if f"#/$defs/{name}'" in written}
    return whole
