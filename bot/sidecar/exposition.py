"""What a client of a Prometheus push gateway sends: a path that says whose metrics these are, a text with them.

The path is `/metrics/job/<workload id>` and then pairs of label and value, among them `step`; a value with a slash in
it comes in base64 (https://github.com/prometheus/pushgateway#url).
"""

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import unquote_plus, urlsplit

from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from bot.sidecar.names import Refused, check_pushed, shown

LONGEST_LINE = 4096
"""Characters of a line: the parser takes time by the square of it."""

MOST_LINES = 10_000
"""Lines of a body: what is read at once keeps everybody else waiting."""

_MOST_LABELS = 16
_STEP = re.compile(r"[0-9]{1,18}")
_CLIENTS_OWN = frozenset({"pod", "step", "job", "name", "instance"})
_DETAILS = frozenset({"le", "quantile"})
_COUNTED = frozenset({"counter", "summary", "histogram"})


@dataclass(frozen=True)
class Push:
    """One request: `step` None where the client gave none. A name that came twice has its last value."""

    workload: str
    step: int | None
    values: dict[str, float]


def parse(target: str, body: bytes) -> Push:
    """Return what a request says. Raises Refused."""
    labels = _labels(target)
    return Push(labels["job"], _step(labels.get("step", "None")), dict(_values(body)))


def _labels(target: str) -> dict[str, str]:
    parts = urlsplit(target).path.rstrip("/").split("/")
    if parts[:3] != ["", "metrics", "job"] and parts[:3] != ["", "metrics", "job@base64"]:
        raise Refused("there is nothing but /metrics/job/...")
    pairs = parts[2:]
    if len(pairs) % 2 or len(pairs) > 2 * _MOST_LABELS:
        raise Refused("the path is not made of pairs of label and value")
    return dict(_label(name, value) for name, value in zip(pairs[::2], pairs[1::2], strict=True))


def _label(name: str, value: str) -> tuple[str, str]:
    try:
        if name.endswith("@base64"):
            digits = value.rstrip("=")  # padding may be missing, and is all there is of an empty value
            text = base64.b64decode(digits + "=" * (-len(digits) % 4), altchars="-_", validate=True)
            return name.removesuffix("@base64"), text.decode()
        return unquote_plus(name, errors="strict"), unquote_plus(value, errors="strict")
    except (binascii.Error, UnicodeDecodeError) as error:
        raise Refused(f"the label {shown(name)} of the path cannot be read") from error


def _step(text: str) -> int | None:
    """`None` is how the ancestor's client writes that it was given no step."""
    if text in {"", "None"}:
        return None
    if not _STEP.fullmatch(text):
        raise Refused(f"the step {shown(text)} is no integer >= 0")
    return int(text)


def _values(body: bytes) -> Iterator[tuple[str, float]]:
    families = _families(body)
    # When a counter began is no measurement of anybody's.
    passed_by = {f"{family.name}_created" for family in families if family.type in _COUNTED}
    for family in families:
        for sample in family.samples:
            if sample.name not in passed_by and _is_value(sample):
                yield check_pushed(sample.name), _number(sample)


def _families(body: bytes) -> list[Metric]:
    try:
        text = body.decode()
        lines = text.split("\n")
        if len(lines) > MOST_LINES or any(len(line) > LONGEST_LINE for line in lines):
            raise Refused(f"the body has more than {MOST_LINES} lines or one of more than {LONGEST_LINE} characters")
        return list(text_string_to_metric_families(text))
    except Refused:
        raise
    except Exception as error:  # the parser is not made for strangers: IndexError and others have been seen
        raise Refused("the body is not in Prometheus' text format") from error


def _is_value(sample: Sample) -> bool:
    """Tell whether a sample is its name's one value; buckets, quantiles and an info's texts are not. Raises Refused."""
    foreign = _foreign(sample.labels)
    if not foreign:
        return True
    if foreign <= _DETAILS or sample.name.endswith("_info"):
        return False
    raise Refused(f"the metric {shown(sample.name)} has the label {shown(min(foreign))}: put it into the name")


def _foreign(labels: Mapping[str, str]) -> set[str]:
    return {name for name in labels if name not in _CLIENTS_OWN and not name.startswith("label_metrics_")}


def _number(sample: Sample) -> float:
    try:
        return float(sample.value)
    except OverflowError as error:
        raise Refused(f"the value of {shown(sample.name)} is too large") from error
