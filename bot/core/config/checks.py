"""`checks`: rules for metrics, which the program calls gates."""

import re
from typing import Annotated, Any, ClassVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    ValidationInfo,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from bot.core.config.document import Mapping
from bot.core.config.problems import quote
from bot.core.config.section import Loc, Reading, Section, kebab, nearest, reading_of, wrong
from bot.core.config.values import MAX_NAME, Precision, Target, Text, Truth, choice
from bot.core.gates import Aggregate, Gate, IfNotFound, Rounding, Source
from bot.core.series import SYSTEM_METRICS

MAX_GATES = 50
POINTER = re.compile(r"(?:/(?:[^~/]|~[01])*)+")
"""A JSON pointer (RFC 6901) to a part of a document."""


_Rounding = Annotated[Rounding, choice(Rounding)]
_IfNotFound = Annotated[IfNotFound, choice(IfNotFound)]


class RuleSection(Section):
    """One rule, or the defaults of the others."""

    model_config = ConfigDict(alias_generator=kebab)
    spellings: ClassVar = {"aggregation": "aggregate", "only-prs": "only-pulls"}

    target: Target | None = None
    aggregate: Text | None = Field(
        None, description="mean, stddev, max, min, var or median; for `custom` a JSON pointer like `/loss/mean`"
    )
    precision: Precision | None = Field(None, description="Decimals to keep; default 2")
    round: Annotated[Rounding, choice(Rounding)] | None = Field(
        None, description="down (towards minus infinity, default) or up"
    )
    only_pulls: Truth | None = Field(None, description="Evaluate on pull requests only; default false")
    if_not_found: _IfNotFound | None = Field(None, description="Verdict without data; default failure")
    comment_on_pr: Truth | None = Field(None, description="Show it in the pull request's comment; default true")


_FIELDS = tuple(RuleSection.model_fields)


class ChecksSection(BaseModel):
    """`defaults`, and rules by `<source>:<metric>`. In the file both stand side by side."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    defaults: RuleSection = RuleSection.model_construct()
    rules: dict[str, RuleSection]

    @model_validator(mode="before")
    @classmethod
    def _split(cls, data: Any, info: ValidationInfo) -> Any:
        reading = reading_of(info)
        if not isinstance(data, Mapping):
            raise wrong("A mapping is expected here", "Write `tensorflow:accuracy:` and, below it, its `target`.")
        if len(data) > MAX_GATES + 1:
            raise wrong(
                f"More than {MAX_GATES} checks in one step", "Each is a check of its own on the commit: choose."
            )
        # An early manual writes `default`.
        written = "defaults" if "defaults" in data else "default"
        if written == "default" and written in data:
            reading.warn("`default` is an old spelling of `defaults`", "Write `defaults`.", data.keys_at[written])
            reading.rename(data, "defaults", written)
        rules = {name: _or_empty(rule, data, name) for name, rule in data.items() if name != written}
        split: dict[str, Any] = {"rules": rules}
        if data.get(written) is not None:
            split["defaults"] = data[written]
        return split

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """The file's own shape: what `_split` undoes."""
        handler(core)
        rule = {"$ref": "#/$defs/RuleSection"}
        sources = "|".join(Source)
        return {
            "type": "object",
            "description": "Rules for metrics: `<source>:<metric>`, and `defaults` for all of them",
            "properties": {"defaults": rule},
            "patternProperties": {f"^({sources}):.+$": rule},
            "additionalProperties": False,
        }


def _or_empty(rule: Any, data: Mapping, name: str) -> Any:
    """A rule may take everything from the defaults."""
    return Mapping(data.keys_at[name]) if rule is None else rule


def read_checks(section: ChecksSection | None, reading: Reading, loc: Loc) -> tuple[Gate, ...]:
    """Return the gates, defaults applied; `loc` is where the section stands."""
    if section is None:
        return ()
    gates = (_gate(name, rule, section.defaults, reading, (*loc, name)) for name, rule in section.rules.items())
    return tuple(gate for gate in gates if gate is not None)


def _gate(name: str, rule: RuleSection, defaults: RuleSection, reading: Reading, loc: Loc) -> Gate | None:
    given = {field: getattr(defaults, field) for field in _FIELDS if getattr(defaults, field, None) is not None}
    given |= {field: getattr(rule, field) for field in _FIELDS if getattr(rule, field) is not None}
    identifier = _identifier(name, reading, loc)
    if identifier is None:
        return None
    source, metric = identifier
    is_sound = _is_aggregate(source, given.get("aggregate"), reading, loc)
    if "target" not in given:
        reading.error("`target` is missing", "Add `target: 0.9..` (greater than 0.9).", reading.key_at(*loc))
        return None
    return Gate(source=source, metric=metric, **given) if is_sound else None


def _identifier(name: str, reading: Reading, loc: Loc) -> tuple[Source, str] | None:
    """Return source and metric of `<source>:<metric>`. Both are case-sensitive."""
    source, colon, metric = name.partition(":")
    mark = reading.key_at(*loc)
    if not colon:
        near = nearest(name, ["defaults"])
        hint = f"Did you mean `{near}`?" if near else f"Write for example `tensorflow:{name[:40]}`."
        reading.error(f"{quote(name)} is not `<source>:<metric>`", hint, mark)
    elif source not in list(Source):
        near = nearest(source, Source)
        hint = f"Did you mean `{near}`?" if near else "Sources are " + ", ".join(f"`{one}`" for one in Source) + "."
        reading.error(f"Unknown source {quote(source)}", hint, mark)
    elif not is_metric(metric):
        reading.error(
            f"{quote(metric)} cannot be a metric's name",
            f"At most {MAX_NAME} characters on one line, without blanks at its ends and without ` / `.",
            mark,
        )
    elif source == Source.SYSTEM and metric.rpartition("/")[2] not in SYSTEM_METRICS:
        near = nearest(metric, SYSTEM_METRICS)
        listed = "Metrics are " + ", ".join(f"`{one}`" for one in SYSTEM_METRICS) + "."
        reading.error(
            f"{quote(metric)} is not measured of a system", f"Did you mean `{near}`?" if near else listed, mark
        )
    else:
        return Source(source), metric
    return None


def is_metric(text: str) -> bool:
    """Tell whether a metric may be named so: on one line, and so that a check's name has its parts."""
    return bool(text) and len(text) <= MAX_NAME and text == text.strip() and not re.search(r"[\n\t]| / ", text)


def _is_aggregate(source: Source, aggregate: str | None, reading: Reading, loc: Loc) -> bool:
    """Tell whether the aggregate suits the source, and say so when it does not."""
    is_pointer = source is Source.CUSTOM
    example = "/loss/mean" if is_pointer else "mean"
    if aggregate is None:
        reading.error("`aggregate` is missing", f"Add `aggregate: {example}`.", reading.key_at(*loc))
    elif is_pointer and not POINTER.fullmatch(aggregate):
        reading.error(
            f"{quote(aggregate)} is not a JSON pointer",
            "For `custom` write where the number stands, like `/loss/mean` or `/loss/1`.",
            reading.value_at(*loc, "aggregate"),
        )
    elif not is_pointer and aggregate not in list(Aggregate):
        near = nearest(aggregate, Aggregate)
        hint = f"Did you mean `{near}`?" if near else "Write one of " + ", ".join(f"`{one}`" for one in Aggregate) + "."
        reading.error(f"Unknown aggregate {quote(aggregate)}", hint, reading.value_at(*loc, "aggregate"))
    else:
        return True
    return False
