"""Which files a script brings along: its imports, looked up as Python would."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from bot.init.facts import Script

MOST = 200
"""Files that one script is followed to."""
SOURCES = "src"
"""The directory that many projects keep their packages in; Python does not look there by itself."""


@dataclass(frozen=True)
class Reach:
    """A script with what it imports of the repository, itself first. `paths` are where Python is to look."""

    scripts: tuple[Script, ...]
    paths: tuple[str, ...]


NOTHING = Reach((), ())


class Modules:
    """The Python files of a repository, by path."""

    def __init__(self, scripts: tuple[Script, ...]) -> None:
        self._by_path: Mapping[str, Script] = {script.path: script for script in scripts}
        self._absolute: dict[tuple[str, str], tuple[str, str] | None] = {}

    def reach(self, start: Script, home: str) -> Reach:
        """Return what `start` reaches when Python looks at the directory `home` first: the script's, or the root."""
        found, paths = {start.path: start}, dict[str, None]()
        waiting = [start]
        while waiting and len(found) < MOST:
            script = waiting.pop(0)
            for path, root in filter(None, (self._resolve(script, name, home) for name in script.imports)):
                if root != home:
                    paths[root or "."] = None
                if path not in found:
                    found[path] = self._by_path[path]
                    waiting.append(found[path])
        return Reach(tuple(found.values()), tuple(paths))

    def package(self, path: str) -> tuple[str, str]:
        """Return the directory that the packages around a file stand in, and its dotted name; empty outside of any."""
        place = PurePosixPath(path)
        parts = [] if place.stem == "__main__" else [place.stem]
        above = place.parent
        while str(above) != "." and f"{above}/__init__.py" in self._by_path:
            parts.insert(0, above.name)
            above = above.parent
        is_named = parts and all(part.isidentifier() for part in parts) and above != place.parent
        return ("" if str(above) == "." else str(above), ".".join(parts)) if is_named else ("", "")

    def at(self, module: str) -> Script | None:
        """Return the file of a dotted name, below the root or below `src`."""
        found = (self._file(root, module.split(".")) for root in ("", SOURCES))
        path = next(filter(None, found), None)
        return self._by_path[path] if path else None

    def _resolve(self, script: Script, name: str, home: str) -> tuple[str, str] | None:
        """Return the file that `name` means in `script`, if it is one of ours, and the directory it was found from."""
        dots = len(name) - len(name.lstrip("."))
        if dots:
            above = PurePosixPath(script.path).parts[:-dots]
            path = self._file("/".join(above), [part for part in name[dots:].split(".") if part])
            return (path, home) if path else None
        if (name, home) not in self._absolute:
            roots = dict.fromkeys((home, "", SOURCES))
            tried = ((self._file(root, name.split(".")), root) for root in roots)
            self._absolute[name, home] = next(((path, root) for path, root in tried if path), None)
        return self._absolute[name, home]

    def _file(self, root: str, parts: list[str]) -> str | None:
        for length in (len(parts), len(parts) - 1):
            stem = "/".join(filter(None, (root, *parts[:length])))
            tried = (f"{stem}.py", f"{stem}/__init__.py") if length > 0 else (f"{stem}/__init__.py",)
            path = next((one for one in tried if one in self._by_path), None)
            if path is not None:
                return path
        return None
