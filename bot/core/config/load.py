"""From bytes to a config, or to what is wrong with it. Total: nothing that a repository holds makes it raise."""

import re
from dataclasses import dataclass
from typing import Any

from bot.core.config.document import Mapping, parse
from bot.core.config.models import Config
from bot.core.config.problems import Problem, Problems, arrange, quote
from bot.core.config.section import Reading, nearest
from bot.core.config.version1 import read_version1
from bot.core.config.version2 import Read, read_version2

CONFIG_PATHS = (".ps_project/config.yaml", "config.yaml")
"""Where a config may be, the first that exists. The second counts only when `is_ours` says so."""


@dataclass(frozen=True)
class Loaded:
    """What came of a file: a config, or None when there is any error."""

    config: Config | None
    problems: tuple[Problem, ...]
    path: str = ""

    @property
    def errors(self) -> tuple[Problem, ...]:
        return tuple(problem for problem in self.problems if problem.severity == "error")

    @property
    def warnings(self) -> tuple[Problem, ...]:
        return tuple(problem for problem in self.problems if problem.severity == "warning")


def load(data: bytes, path: str, read: Read) -> Loaded:
    """Return the config in `data`, the content of the file `path`, with all that is wrong with it.

    `read` fetches another file of the same commit (a step's `paramsFile`) and raises LookupError with the reason
    when that is absent, too big or not a regular file. Nothing else is raised for any bytes.
    """
    problems = Problems()
    document = parse(data, path, problems)
    config = None if document.is_broken else _read(Reading(document, problems), read, problems)
    return Loaded(None if problems.has_errors else config, arrange(problems, path), path)


def _read(reading: Reading, read: Read, problems: Problems) -> Config | None:
    root = reading.document.root
    if not isinstance(root, Mapping):
        reading.error("The file is not a mapping", "Begin with `version: 2`.", reading.key_at())
        return None
    version = root.get("version")
    if version == "2":
        return read_version2(reading, read, problems)
    if version == "1":
        return read_version1(reading)
    _complain(version, root, reading)
    return None


def _complain(version: Any, root: Mapping, reading: Reading) -> None:
    if version is not None:
        shown = quote(version) if isinstance(version, str) else "This"
        hint = "Write `version: 2`; 1 is the older form, of one experiment a file."
        reading.error(f"{shown} is not a version", hint, reading.value_at("version"))
        return
    hint = f"Add `version: {1 if 'worker' in root else 2}`."
    if "command" in root and "workflows" not in root:
        hint = "This looks like an options file: name it by `paramsFile` in a step of a config of version 2."
    elif near := next((key for key in root if nearest(key, ["version"])), ""):
        hint = f"Is {quote(near)} meant to be `version`?"
    reading.error("`version` is missing", hint, reading.key_at())


_VERSION_LINE = re.compile(rb"^version[ \t]*:[ \t]*[\"']?([12])[\"']?[ \t]*(#.*)?\r?$", re.MULTILINE)
_OUR_LINE = {b"1": re.compile(rb"^worker[ \t]*:", re.MULTILINE), b"2": re.compile(rb"^workflows?[ \t]*:", re.MULTILINE)}


def is_ours(data: bytes) -> bool:
    """Tell whether a root `config.yaml` is meant for us. Never raises.

    Many programs keep a `config.yaml`, and some begin it with `version: 1` (Python's own logging does). Ours has
    `version: 2` and `workflows`, or `version: 1` and `worker`, at the top level. A file that is not valid YAML is
    ours when lines of it say the same: its author must hear of the mistake, or the checks would just be absent.
    """
    document = parse(data, "", Problems())
    if document.is_broken:
        found = _VERSION_LINE.search(data)
        return found is not None and _OUR_LINE[found[1]].search(data) is not None
    root = document.root
    if not isinstance(root, Mapping):
        return False
    version = root.get("version")
    if version == "2":
        return "workflows" in root or "workflow" in root
    return version == "1" and "worker" in root
