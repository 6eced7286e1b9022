"""A request's JSON object, read field by field; whatever does not fit is GitHub's 422.

Sizes are in characters or bytes, as GitHub counts each. Unknown fields are ignored, as GitHub ignores them; null is not
the same as absent, and is refused.
"""

import re
from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any

from bot.devhub.errors import malformed

_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:?\d\d)")


class Body:
    """One JSON object of a request."""

    def __init__(self, values: dict[str, Any]) -> None:
        self._values = values

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def names(self) -> list[str]:
        return [*self._values]

    def text(
        self,
        name: str,
        *,
        required: bool = False,
        choices: Collection[str] = (),
        most: int | None = None,
    ) -> str | None:
        """Return a text of at most `most` characters, one of `choices` when there are some; None when absent."""
        value = self._typed(name, str, "a string", required)
        if value is None:
            return None
        if choices and value not in choices:
            raise malformed(f"For 'properties/{name}', {value} is not a member of {sorted(choices)}.")
        if most is not None and len(value) > most:
            raise malformed(f"For 'properties/{name}', only {most} characters are allowed; {len(value)} were supplied.")
        return str(value)

    def integer(self, name: str, *, required: bool = False) -> int | None:
        value = self._typed(name, int, "an integer", required)
        if isinstance(value, bool):
            raise malformed(f"For 'properties/{name}', {value} is not an integer.")
        return None if value is None else int(value)

    def time(self, name: str) -> int | None:
        """Return an ISO 8601 time as microseconds."""
        value = self.text(name)
        if value is None:
            return None
        if not _TIME.fullmatch(value):
            raise malformed(f"For 'properties/{name}', {value} is not a valid date-time.")
        at = datetime.fromisoformat(value.replace(" ", "T"))
        return int(at.astimezone(UTC).timestamp() * 1_000_000)

    def part(self, name: str) -> "Body | None":
        value = self._typed(name, dict, "an object", required=False)
        return None if value is None else Body(value)

    def parts(self, name: str, most: int) -> "list[Body] | None":
        """Return a list of at most `most` objects."""
        values = self.array(name)
        if values is None:
            return None
        if len(values) > most:
            raise malformed(
                f"For 'properties/{name}', no more than {most} items are allowed; {len(values)} were supplied."
            )
        for value in values:
            if not isinstance(value, dict):
                raise malformed(f"For 'properties/{name}/items', {value!r} is not an object.")
        return [Body(value) for value in values]

    def array(self, name: str) -> list[Any] | None:
        value = self._typed(name, list, "an array", required=False)
        return None if value is None else [*value]

    def _typed(self, name: str, kind: type, words: str, required: bool) -> Any:
        if name not in self._values:
            if required:
                raise malformed(f'"{name}" wasn\'t supplied.')
            return None
        value = self._values[name]
        if not isinstance(value, kind):
            shown = "nil" if value is None else repr(value)[:80]
            raise malformed(f"For 'properties/{name}', {shown} is not {words}.")
        return value
