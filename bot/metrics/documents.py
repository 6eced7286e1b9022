"""JSON that a run wrote: made strict, or refused with the reason."""

import json
from typing import Any, NoReturn

LARGEST = 1 << 20
"""Bytes of a document."""

DEPTH = 64
"""How deep arrays and objects may stand in each other."""


class BadDocument(ValueError):
    """A document that is refused; the message is the end of a sentence that begins with its name."""


def strict(data: bytes) -> str:
    """Return the document as strict JSON in ASCII. Raises BadDocument.

    NaN and the infinities, which JSON does not know but Python's writer leaves in, become the texts "NaN",
    "Infinity" and "-Infinity": a gate on another value still works, and on these never passes.
    """
    try:
        # utf-8-sig: editors of some systems put a byte-order mark first.
        text = data.decode("utf-8-sig")
        value = json.loads(
            text,
            parse_float=_float,
            parse_int=_int,
            parse_constant=str,
            object_pairs_hook=_object,
        )
    except UnicodeDecodeError as error:
        raise BadDocument(f"is not UTF-8 (byte {error.start})") from error
    except json.JSONDecodeError as error:
        raise BadDocument(f"is no JSON: {error.msg} (line {error.lineno}, column {error.colno})") from error
    except RecursionError as error:
        raise BadDocument(f"is nested more than {DEPTH} deep") from error
    _check(value)
    return json.dumps(value, allow_nan=False, separators=(",", ":"))


def _float(digits: str) -> float | str:
    number = float(digits)
    if number in (float("inf"), float("-inf")):
        return "-Infinity" if number < 0 else "Infinity"
    return number


def _int(digits: str) -> int | float | str:
    # Python refuses to read integers of more than 4300 digits; no float holds one of more than 309.
    return int(digits) if len(digits) < 300 else _float(digits)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        keys = [key for key, _ in pairs]
        _refuse_twice(next(key for key in keys if keys.count(key) > 1))
    return value


def _refuse_twice(key: str) -> NoReturn:
    raise BadDocument(f"has the key {key[:60]!a} twice in one object")


def _check(document: Any) -> None:
    """Refuse depth (by a list instead of recursion) and halves of characters, which nothing can store."""
    left = [(document, 0)]
    while left:
        value, depth = left.pop()
        if depth > DEPTH:
            raise BadDocument(f"is nested more than {DEPTH} deep")
        texts = [*value] if isinstance(value, dict) else [value] if isinstance(value, str) else []
        if any("\ud800" <= character <= "\udfff" for text in texts for character in text):
            raise BadDocument("contains half a character (a lone surrogate)")
        children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        left.extend((child, depth + 1) for child in children)
