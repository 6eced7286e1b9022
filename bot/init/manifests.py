"""What stands around the code: a project's metadata, its Makefile, its README, its parameters."""

import configparser
import json
import re
import tomllib
from collections.abc import Iterator
from typing import Any

from bot.core.config.document import parse
from bot.core.config.problems import Problems
from bot.core.space import scalar
from bot.init.facts import Entry, Mention, Parameters, Recipe, Value

_MOST = 100
_LONGEST = 200

_TARGET = re.compile(r"^((?:train|fit)[\w.-]{0,60})[ \t]*:(?![=:])", re.ASCII)
_PROMPT = re.compile(r"^\s*(?:[$>%]\s+)?(?=\S)")
_RUNS = re.compile(
    r"(?:[A-Z_][A-Z0-9_]*=\S+\s+)*(?:python3?|torchrun|accelerate\s+launch|mpirun|uv\s+run|poetry\s+run)\s"
)
_DOCKER = re.compile(r"^\s*(?:CMD|ENTRYPOINT|RUN)\s+(.+)$", re.IGNORECASE)
_ENTRY = re.compile(r"([A-Za-z_][\w.]{0,100}):([A-Za-z_]\w{0,60})", re.ASCII)
# Possessive: what goes on with something that is put in as it runs is no name that is known.
_BUCKET = re.compile(
    r"s3://[A-Za-z0-9][A-Za-z0-9._-]{1,62}+(?:/[A-Za-z0-9._/=+-]{0,200}+)?+(?![{}<$%A-Za-z0-9])", re.ASCII
)


def read_recipes(text: str) -> tuple[Recipe, ...]:
    """Return the targets of a Makefile that train by their names."""
    found: list[Recipe] = []
    target, lines = "", list[str]()
    for line in [*text.splitlines(), "end:"]:
        if line.startswith("\t") and target:
            lines.append(line.strip().lstrip("@-+ ")[:_LONGEST])
        elif line.strip() and not line.startswith(("\t", "#")):
            found += [Recipe(target, tuple(lines))] if target else []
            named = _TARGET.match(line)
            target, lines = (named[1] if named else ""), []
    return tuple(found[:_MOST])


def read_stages(file: str, text: str) -> Iterator[Recipe]:
    """Yield the stages of a `dvc.yaml` that train by their names."""
    root = parse(text.encode(errors="replace"), file, Problems()).root
    stages = root.get("stages") if isinstance(root, dict) else None
    for name, stage in list(stages.items())[:_MOST] if isinstance(stages, dict) else ():
        command = stage.get("cmd") if isinstance(stage, dict) else None
        if isinstance(command, str) and len(command) <= _LONGEST and _TARGET.match(f"{name}:"):
            yield Recipe(name, (command.strip(),), file)


def read_mentions(file: str, text: str) -> Iterator[Mention]:
    """Yield the commands of a README that run Python, and what a Dockerfile runs."""
    for line in text.splitlines():
        shown = _PROMPT.sub("", line, count=1).strip().strip("`")
        run = _DOCKER.match(line)
        if run is not None and "dockerfile" in file.lower():
            yield Mention(file, run[1][:_LONGEST])
        elif len(shown) <= _LONGEST and _RUNS.match(shown):
            yield Mention(file, shown)


def read_entries(name: str, text: str) -> Iterator[Entry]:
    """Yield the console scripts that `pyproject.toml` or `setup.cfg` declare."""
    try:
        scripts = _of_toml(tomllib.loads(text)) if name.endswith(".toml") else _of_cfg(text)
    except (tomllib.TOMLDecodeError, configparser.Error, RecursionError, ValueError):
        return
    for script, target in list(scripts.items())[:_MOST]:
        found = _ENTRY.fullmatch(target.strip()) if isinstance(target, str) else None
        if found and len(script) <= _LONGEST:
            yield Entry(script, found[1], found[2])


def _of_toml(document: dict[str, Any]) -> dict[str, Any]:
    tool = document.get("tool")
    poetry = tool.get("poetry") if isinstance(tool, dict) else None
    holders = (document.get("project"), poetry)
    found = [holder.get("scripts") for holder in holders if isinstance(holder, dict)]
    return {name: target for scripts in found if isinstance(scripts, dict) for name, target in scripts.items()}


def _of_cfg(text: str) -> dict[str, Any]:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string(text)
    listed = parser.get("options.entry_points", "console_scripts", fallback="")
    pairs = [line.partition("=") for line in listed.splitlines() if "=" in line]
    return {name.strip(): target.strip() for name, _, target in pairs}


def read_parameters(path: str, text: str) -> Parameters | None:
    """Return the values of a file of parameters, None when it is none that can be read."""
    if path.endswith(".json"):
        try:
            root = json.loads(text)
        except (ValueError, RecursionError):
            return None
    else:
        root = parse(text.encode(errors="replace"), path, Problems()).root
    values = tuple(_values(root, "", 4))[:_MOST]
    return Parameters(path, values) if values else None


def _values(node: Any, above: str, depth: int) -> Iterator[tuple[str, Value]]:
    for key, value in node.items() if isinstance(node, dict) and depth else ():
        name = f"{above}.{key}" if above else str(key)
        if isinstance(value, dict):
            yield from _values(value, name, depth - 1)
        elif isinstance(value, str | int | float | bool) and len(name) <= _LONGEST:
            yield name, _plain(value)


def _plain(value: Value) -> Value:
    """YAML's scalars come as the text that was written."""
    try:
        return scalar(value) if isinstance(value, str) else value
    except ValueError:
        return None


def read_buckets(text: str) -> tuple[str, ...]:
    """Return the `s3://` URIs that are written out in a text."""
    return tuple(dict.fromkeys(found.rstrip(".") for found in _BUCKET.findall(text)))[:_MOST]
