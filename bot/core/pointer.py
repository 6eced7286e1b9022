"""JSON pointers (RFC 6901): how a gate names one value in a document."""

import re
from collections.abc import Iterator
from typing import Any


class PointerError(ValueError):
    """A text that is no JSON pointer; the message says why."""


def resolve(document: Any, pointer: str) -> Any:
    """Return what the JSON pointer (RFC 6901) names in `document`; the empty pointer names all of it.

    Raises PointerError when it is no pointer, LookupError when nothing stands there.
    """
    value = document
    for token in _tokens(pointer):
        if isinstance(value, list):
            value = value[_index(token)]
        elif isinstance(value, dict):
            value = value[token]
        else:
            raise LookupError(token)
    return value


def _index(token: str) -> int:
    """Return the array index: digits without a sign or a leading zero (RFC 6901, section 4)."""
    if re.fullmatch("0|[1-9][0-9]{0,8}", token):
        return int(token)
    if token == "-" or re.fullmatch("[0-9]+", token):  # noqa: S105 - a reference token, no secret
        # Never an element: were it merely "not found", `if-not-found: success` would let it pass for ever.
        raise PointerError(f"`{token}` is no index of an array")
    raise LookupError(token)


def _tokens(pointer: str) -> list[str]:
    if pointer and not pointer.startswith("/"):
        raise PointerError(f"`{pointer}` is no JSON pointer: it must begin with `/`")
    if re.search("~(?![01])", pointer):
        raise PointerError(f"`{pointer}` is no JSON pointer: `~` must be written `~0`, and `/` in a name `~1`")
    # `~1` first: `~01` means `~1`, not a slash.
    return [token.replace("~1", "/").replace("~0", "~") for token in pointer.split("/")[1:]]


def number_pointers(value: Any, above: str = "") -> Iterator[str]:
    """Yield the pointers to the numbers in `value`."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        yield above
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        yield from number_pointers(child, f"{above}/{str(key).replace('~', '~0').replace('/', '~1')}")
