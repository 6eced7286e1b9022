"""Ranges, durations and ports."""

import pytest

from bot.core.config import Port
from bot.core.gates import Range
from tests.core.config.files import accepted, only_step, read, single, sound


def target(text: str) -> Range:
    return only_step(accepted(sound(step=f"checks: {{custom:a: {{target: {text}, aggregate: /a}}}}"))).gates[0].target


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("0.9", 0.9, None),
        ("0.9..", 0.9, None),
        ("..0.5", None, 0.5),
        ("0.1..0.2", 0.1, 0.2),
        ("0.2..0.1", 0.1, 0.2),
        ("0.988..1.000", 0.988, 1.0),
        ("-1..-2", -2.0, -1.0),
        ("1e-3", 0.001, None),
        ("..1E+2", None, 100.0),
        (".5...7", 0.5, 0.7),
        ("+1..2", 1.0, 2.0),
        ("010", 10.0, None),
        ("0..0", 0.0, 0.0),
        ("'  0.1 .. 0.2 '", 0.1, 0.2),
    ],
)
def test_ranges(text: str, low: float | None, high: float | None) -> None:
    assert target(text) == Range(low, high)


def test_a_one_sided_range_leaves_its_end_out_and_a_two_sided_one_keeps_both() -> None:
    assert not target("0.9..").contains(0.9)
    assert not target("..0.5").contains(0.5)
    assert target("0.1..0.2").contains(0.1)
    assert target("0.1..0.2").contains(0.2)


@pytest.mark.parametrize(
    "text",
    [
        "..",
        "''",
        "a",
        "1..2..3",
        "1.",
        "1,5",
        "0x10",
        "1_000",
        ".nan",
        "nan..",
        "inf",
        "..-.inf",
        "1e999",
        "..1e400",
        ">= 1",
        "1 2",
        "١",
        "1" * 200,
    ],
)
def test_what_is_not_a_range(text: str) -> None:
    loaded = read(sound(step=f"checks: {{custom:a: {{target: {text!r}, aggregate: /a}}}}"))

    assert [problem.line for problem in loaded.errors] == [8]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90),
        ("10m", 600),
        ("9h", 32400),
        ("1h30m", 5400),
        ("1d", 86400),
        ("7d", 604800),
        ("168h", 604800),
        ("1s", 1),
    ],
)
def test_durations(text: str, seconds: float) -> None:
    assert single(accepted(sound(step=f"timeout: {text}"))).timeout_seconds == seconds


@pytest.mark.parametrize(
    "text", ["10", "0s", "7d1s", "1.5h", "-1h", "30m1h", "1h 30m", "10 minutes", "''", "[1h]", "99999999s"]
)
def test_what_is_not_a_duration(text: str) -> None:
    assert [problem.line for problem in read(sound(step=f"timeout: {text}")).errors] == [8]


@pytest.mark.parametrize(
    ("text", "ports"),
    [
        ("5000", (Port(5000, 5000),)),
        ("'5000'", (Port(5000, 5000),)),
        ("8888:80", (Port(8888, 80),)),
        ("5000, 8888:80", (Port(5000, 5000), Port(8888, 80))),
    ],
)
def test_ports(text: str, ports: tuple[Port, ...]) -> None:
    assert single(accepted(sound(params=f"ports: {text}"))).ports == ports


@pytest.mark.parametrize(
    "text",
    [
        "0",
        "65536",
        "80:",
        ":80",
        "1:2:3",
        "http",
        "'5000,'",
        "-1",
        "80:80,81:80",
        ",".join(str(n) for n in range(1, 22)),
    ],
)
def test_what_is_not_a_port(text: str) -> None:
    assert [problem.line for problem in read(sound(params=f"ports: {text}")).errors] == [11]


@pytest.mark.parametrize("pointer", ["/loss", "/loss/mean", "/a~1b/~0", "/0", "/"])
def test_pointers_into_a_document(pointer: str) -> None:
    config = accepted(sound(step=f"checks: {{custom:a: {{target: 1, aggregate: {pointer}}}}}"))

    assert only_step(config).gates[0].aggregate == pointer


@pytest.mark.parametrize("pointer", ["loss", "/a~2", "/~", "''"])
def test_what_is_not_a_pointer(pointer: str) -> None:
    assert read(sound(step=f"checks: {{custom:a: {{target: 1, aggregate: {pointer}}}}}")).errors
