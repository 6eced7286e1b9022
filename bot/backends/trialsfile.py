"""The trials of a search, as its tuner writes them down: JSON lines, of each number the last one stands."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_MOST = 10_000


@dataclass
class TrialsFile:
    """What was read so far. `lines` are in the order of their numbers."""

    offset: int = 0
    known: dict[int, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def lines(self) -> tuple[Mapping[str, Any], ...]:
        return tuple(self.known[number] for number in sorted(self.known))

    def read(self, path: Path) -> bool:
        """Read on; tell whether there was anything new. A last line without its end waits for it."""
        try:
            with path.open("rb") as file:
                file.seek(self.offset)
                data = file.read()
        except FileNotFoundError:
            return False
        whole = data[: data.rfind(b"\n") + 1]
        self.offset += len(whole)
        for line in whole.splitlines():
            self._take(line)
        return bool(whole)

    def _take(self, line: bytes) -> None:
        try:
            entry = json.loads(line)
            number = int(entry["number"])
        except (ValueError, KeyError, TypeError):
            return
        if 0 <= number < _MOST:
            self.known[number] = entry
