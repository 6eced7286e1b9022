"""Sections: the mappings of the file as pydantic models that know each key's place.

Whatever concerns keys (unknown, missing, misspelt, written twice in two spellings) is found here, where the marks
are at hand; what concerns a value is said by the value's own type and placed by `Reading`.
"""

import difflib
from collections.abc import Iterable
from collections.abc import Mapping as AnyMapping
from typing import Any, ClassVar, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError, ValidationInfo, model_validator
from pydantic_core import ErrorDetails, PydanticCustomError

from bot.core.config.document import Document, Mapping, Sequence
from bot.core.config.problems import Mark, Problem, Problems, Severity, quote

Loc = tuple[str | int, ...]
M = TypeVar("M", bound=BaseModel)

KEY = "[key]"
"""How pydantic ends the place of a mapping's key."""

_START = Mark(1, 1)
_MOST_LISTED = 12


def wrong(message: str, hint: str, *where: str | int) -> PydanticCustomError:
    """Return the error of a value (of its part `where`, if given), to be raised in a validator.

    A `where` that ends with `KEY` is about the key itself, not about the value under it.
    """
    # The text is a parameter, not the template: pydantic would take a user's braces for fields.
    return PydanticCustomError("config", "{message}", {"message": message, "hint": hint, "where": where})


def kebab(name: str) -> str:
    """Return a field's name as keys of version 1 and of checks are written."""
    return name.replace("_", "-")


def nearest(word: str, known: Iterable[str]) -> str:
    """Return the known word that was probably meant, empty when none is near."""
    by_fold = {candidate.casefold(): candidate for candidate in known}
    near = difflib.get_close_matches(word.casefold(), by_fold, n=1, cutoff=0.6)
    return by_fold[near[0]] if near else ""


class Reading:
    """One file while it is read: where its values stand, and what was found wrong with them."""

    def __init__(self, document: Document, problems: Problems) -> None:
        self.document = document
        self._problems = problems
        self._written: dict[tuple[int, str], str] = {}

    def rename(self, mapping: Mapping, key: str, written: str) -> None:
        """Remember that `key` of `mapping` stands in the file in another spelling."""
        self._written[id(mapping), key] = written

    def error(self, message: str, hint: str, mark: Mark) -> None:
        self._add("error", message, hint, mark)

    def warn(self, message: str, hint: str, mark: Mark) -> None:
        self._add("warning", message, hint, mark)

    def _add(self, severity: Severity, message: str, hint: str, mark: Mark) -> None:
        self._problems.add(Problem(severity, message, hint, self.document.path, mark.line, mark.column))

    def validate(self, model: type[M], value: Any) -> M | None:
        """Return `value` as `model`; None when pydantic refuses it. All that is wrong is reported."""
        try:
            return model.model_validate(value, context=self)
        except ValidationError as error:
            for detail in error.errors(include_url=False):
                self._report(detail)
            return None

    def _report(self, detail: ErrorDetails) -> None:
        # A missing key was already told, better, by its section.
        if detail["type"] == "missing":
            return
        context = detail.get("ctx", {})
        loc = (*detail["loc"], *context.get("where", ()))
        key_at, value_at = self.find(loc)
        is_about_key = loc[-1:] == (KEY,)
        message = context.get("message", detail["msg"])
        self.error(message, context.get("hint", "See docs/config.md."), key_at if is_about_key else value_at)

    def key_at(self, *loc: str | int) -> Mark:
        """Return where the key (or list item) at `loc` begins."""
        return self.find(loc)[0]

    def value_at(self, *loc: str | int) -> Mark:
        """Return where the value at `loc` begins."""
        return self.find(loc)[1]

    def find(self, loc: Loc) -> tuple[Mark, Mark]:
        """Return the marks of key and value at `loc`, or of the innermost thing on the way that exists.

        Parts that the file does not have are passed over: pydantic names the member of a union, too.
        """
        value = self.document.root
        key_at = value_at = getattr(value, "mark", _START)
        for part in loc:
            if isinstance(value, Mapping) and isinstance(part, str):
                written = self._written.get((id(value), part), part)
                if written in value:
                    key_at, value_at, value = value.keys_at[written], value.values_at[written], value[written]
            elif isinstance(value, Sequence) and isinstance(part, int) and part < len(value):
                key_at = value_at = value.items_at[part]
                value = value[part]
        return key_at, value_at


def reading_of(info: ValidationInfo) -> Reading:
    """Return the reading that a validator works for."""
    assert isinstance(info.context, Reading)  # noqa: S101 - sections are only made by Reading.validate
    return info.context


class Section(BaseModel):
    """A mapping of the file. Its fields' aliases are the only keys it takes."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        field_title_generator=lambda name, field: field.alias or name,
    )

    spellings: ClassVar[AnyMapping[str, str]] = {}
    """Keys that the ancestor's manuals also spell otherwise: taken, with a warning."""
    unused: ClassVar[AnyMapping[str, str]] = {}
    """Keys that mean nothing here, with what to say about it: ignored, with a warning unless empty."""
    respelt: ClassVar[AnyMapping[str, AnyMapping[str, str]]] = {}
    """Values that the manuals also spell otherwise: key → (case-folded value → value), taken with a warning."""
    advice: ClassVar[AnyMapping[str, str]] = {}
    """Keys that people put here and that belong elsewhere, with where."""

    @classmethod
    def known_keys(cls) -> dict[str, bool]:
        """Return the section's keys, each with whether it is required."""
        return {field.alias or name: field.is_required() for name, field in cls.model_fields.items()}

    @model_validator(mode="before")
    @classmethod
    def _tidy(cls, data: Any, info: ValidationInfo) -> Any:
        reading = reading_of(info)
        if not isinstance(data, Mapping):
            raise wrong("A mapping is expected here", "Write `key: value` lines. " + _keys_are(cls.known_keys()))
        kept: dict[str, Any] = {}
        for written in data:
            key = cls._key(written, data, reading)
            if key in kept:
                reading.error(
                    f"{quote(written)} says again what {quote(key)} says", "Keep one of them.", data.keys_at[written]
                )
            elif key:
                kept[key] = cls._value(key, written, data, reading)
        cls._tell_missing(kept, data, reading)
        return {key: value for key, value in kept.items() if value is not None}

    @classmethod
    def _key(cls, written: str, data: Mapping, reading: Reading) -> str:
        """Return the key that was meant, empty when there is nothing to read under it."""
        mark = data.keys_at[written]
        if written in cls.known_keys():
            return written
        # An options file of the ancestor's command line lists everything, what is not used as null.
        if data[written] is None and (written in cls.spellings or written in cls.unused):
            return ""
        if key := cls.spellings.get(written):
            reading.warn(f"{quote(written)} is an old spelling of `{key}`", f"Write `{key}`.", mark)
            reading.rename(data, key, written)
            return key
        if written in cls.unused:
            reading.warn(f"{quote(written)} is ignored", cls.unused[written], mark)
        elif written in cls.advice:
            reading.error(f"{quote(written)} does not belong here", cls.advice[written], mark)
        else:
            near = nearest(written, cls.known_keys())
            hint = f"Did you mean `{near}`?" if near else _keys_are(cls.known_keys())
            reading.error(f"Unknown key {quote(written)}", hint, mark)
        return ""

    @classmethod
    def _value(cls, key: str, written: str, data: Mapping, reading: Reading) -> Any:
        value = data[written]
        meant = cls.respelt.get(key, {}).get(value.casefold()) if isinstance(value, str) else None
        if meant is None or meant == value:
            return value
        reading.warn(f"{quote(value)} is an old spelling of `{meant}`", f"Write `{meant}`.", data.values_at[written])
        return meant

    @classmethod
    def _tell_missing(cls, kept: AnyMapping[str, Any], data: Mapping, reading: Reading) -> None:
        for name, field in cls.model_fields.items():
            key = field.alias or name
            if not field.is_required() or kept.get(key) is not None:
                continue
            hint = f"Write `{key}:` and what it has below it, indented."
            if field.examples:
                hint = f"Write `{key}: {field.examples[0]}`."
            if key in kept:
                reading.error(f"`{key}` is empty", hint, data.keys_at.get(key, data.mark))
            else:
                reading.error(f"`{key}` is missing", hint, data.mark)


def _keys_are(keys: Iterable[str]) -> str:
    listed = [f"`{key}`" for key in keys]
    if len(listed) > _MOST_LISTED:
        return "See docs/config.md for the keys."
    return f"Keys here are {', '.join(listed)}."


def listed(limit: int, what: str, shape: Any) -> BeforeValidator:
    """Return the annotation of a list of at most `limit`, for which a single value may stand alone.

    `shape` is the type of what may be written, for the JSON Schema.
    """

    def check(value: Any) -> Any:
        if isinstance(value, Mapping):
            raise wrong("A list is expected here", "Begin each item with `- `.")
        items = value if isinstance(value, list) else [value]
        if not items:
            raise wrong("The list is empty", f"Name at least one of the {what}, or delete the key.")
        if len(items) > limit:
            raise wrong(f"More than {limit} {what}", "Split the file, or delete some.")
        return items

    return BeforeValidator(check, json_schema_input_type=shape)


def named(limit: int, what: str) -> BeforeValidator:
    """Return the annotation of a mapping from free names, at most `limit`."""

    def check(value: Any) -> Any:
        if not isinstance(value, Mapping):
            raise wrong("A mapping is expected here", "Write a name, a colon, and what it has below it, indented.")
        if not value:
            raise wrong("The mapping is empty", f"Name at least one of the {what}.")
        if len(value) > limit:
            raise wrong(f"More than {limit} {what}", "Delete some.")
        return value

    return BeforeValidator(check)
