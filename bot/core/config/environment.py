"""Environment variables, and values that name a stored secret: `secret:<name>`."""

import re
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from bot.core.config.document import Mapping
from bot.core.config.models import SECRET, secret_name
from bot.core.config.problems import quote
from bot.core.config.section import Reading, Section, wrong
from bot.core.config.values import Line

MAX_VARIABLES = 200
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_SECRET_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,99}", re.ASCII)
_HIDDEN = ("password", "secretaccesskey")


def _secret(text: str) -> str:
    name = secret_name(text)
    if name is not None and not _SECRET_NAME.fullmatch(name):
        hint = f"Write `{SECRET}<name>`: letters, digits, `_` and `-`, at most 100, no digit first."
        raise wrong(f"{quote(text)} names no secret", hint)
    return text


Credential = Annotated[Line, AfterValidator(_secret)]
"""A user name, a password or a key; `secret:<name>` for a stored one."""


class CredentialsSection(Section):
    """A section with credentials: one in plain text gets a warning, which does not repeat it."""

    @classmethod
    def _value(cls, key: str, written: str, data: Mapping, reading: Reading) -> Any:
        value = super()._value(key, written, data, reading)
        parts = value if isinstance(value, list) else [value]
        is_open = any(isinstance(part, str) and secret_name(part) is None for part in parts)
        if is_open and key.replace("-", "").casefold().endswith(_HIDDEN):
            hint = f"Everyone who can read the repository can read it: revoke it, and write `{SECRET}<name>`."
            reading.warn(f"`{key}` stands here in plain text", hint, data.keys_at[written])
        return value


def variable(value: Any) -> str:
    """Return the name of a variable as it is."""
    if isinstance(value, str) and _VARIABLE.fullmatch(value):
        return value
    raise wrong("Not a name for an environment variable", "Use letters, digits and `_`, no digit first.")


def _variables(value: Any) -> Any:
    """Check the names here, whose places the keys' own marks tell; pydantic checks the values."""
    if not isinstance(value, Mapping):
        raise wrong("A mapping is expected here", "Write `NAME: value` lines.")
    if len(value) > MAX_VARIABLES:
        raise wrong(f"More than {MAX_VARIABLES} variables", "Put them into a file of the repository.")
    return value


def setting(value: Any) -> str:
    """Return the text of a variable's value."""
    if isinstance(value, str):
        return value
    if value is None:
        raise wrong("This variable has no value", 'Write `""` for an empty one.')
    raise wrong("A variable's value is text", "Put lists and mappings in quotes, for example as JSON.")


Environment = Annotated[
    dict[
        Annotated[str, BeforeValidator(variable)],
        Annotated[
            str,
            BeforeValidator(setting),
            AfterValidator(_secret),
            WithJsonSchema({"type": ["string", "number", "boolean"]}),
        ],
    ],
    BeforeValidator(_variables),
    Field(description="Environment variables; each value is the text as written, `secret:<name>` a stored secret"),
]
