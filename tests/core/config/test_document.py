"""The file as YAML: what is read, and what is refused before it can do harm."""

import re
import sys
import time

import pytest
from yaml.reader import Reader

from bot.core.config.document import FORBIDDEN, MAX_ALIASES, MAX_BYTES, MAX_DEPTH, MAX_VALUES, parse
from bot.core.config.problems import Problems


def read(text: str | bytes) -> tuple[object, list[str]]:
    """The values, and what is wrong: `line:column message | hint`."""
    problems = Problems()
    data = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
    document = parse(data, "config.yaml", problems)
    return document.root, [f"{p.line}:{p.column} {p.message} | {p.hint}" for p in problems]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a: 1e-3", {"a": "1e-3"}),
        ("a: no\nb: on\nc: yes", {"a": "no", "b": "on", "c": "yes"}),
        ("a: 010\nb: 0o17\nc: 0x1F", {"a": "010", "b": "0o17", "c": "0x1F"}),
        ("a: 5:30\nb: 2024-01-31\nc: 1.10", {"a": "5:30", "b": "2024-01-31", "c": "1.10"}),
        ("a: .nan\nb: -.inf", {"a": ".nan", "b": "-.inf"}),
        ("a: " + "9" * 5000, {"a": "9" * 5000}),
        ("a:\nb: ~\nc: null\nd: NULL", {"a": None, "b": None, "c": None, "d": None}),
        ("a: ''\nb: 'null'\nc: \"~\"", {"a": "", "b": "null", "c": "~"}),
        ("a: |\n  x\n  y\n", {"a": "x\ny\n"}),
        ("no: 1\nnull: 2\n3: x", {"no": "1", "null": "2", "3": "x"}),
        ("\ufeffa: 1\r\nb: 2\r\n", {"a": "1", "b": "2"}),
        ("---\na: 1\n...\n", {"a": "1"}),
        ("%YAML 1.2\n---\na: 1\n", {"a": "1"}),
        ("[a, [b], {c: d}]", ["a", ["b"], {"c": "d"}]),
        ("a: &x [1]\nb: *x", {"a": ["1"], "b": ["1"]}),
        ("&k a: *k", {"a": "a"}),
        ("a: 'na\tïve ✓ 👩\u200d🔬'", {"a": "na\tïve ✓ 👩\u200d🔬"}),
        ('a: "\\u00e4"', {"a": "ä"}),
    ],
)
def test_every_scalar_is_the_text_as_written(text: str, value: object) -> None:
    assert read(text) == (value, [])


def test_merge_keys_take_over_what_is_not_said() -> None:
    root, problems = read("a: &a {x: 1, y: 2}\nb: &b {y: 3, z: 4}\nc: {y: 5, <<: [*a, *b]}\nd: {<<: *a, x: 6}\n")

    assert problems == []
    assert isinstance(root, dict)
    assert root["c"] == {"x": "1", "y": "5", "z": "4"}
    assert root["d"] == {"x": "6", "y": "2"}


def test_a_quoted_merge_key_is_a_key() -> None:
    assert read("'<<': 1") == ({"<<": "1"}, [])


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "1:1 The file is empty | Begin with `version: 2`."),
        ("# only a comment\n", "1:1 The file is empty | Begin with `version: 2`."),
        ("a: 1\nb: 2\na: 3", "3:1 `a` stands here a second time; the first is in line 1 | Keep one: "),
        ("x:\n  'a': 1\n  a: 3", "3:3 `a` stands here a second time; the first is in line 2 | "),
        ("a: &x {}\nb:\n  <<: *x\n  <<: *x", "4:3 `<<` stands here a second time; the first is in line 3 | "),
        ("<<: 1", "1:5 `<<` takes a mapping, or a list of mappings | Write `<<: *name`."),
        ("a: &a [*a]", "1:8 `*a` would contain itself | Write the values out."),
        ("a: *nothing", "1:4 `*nothing` refers to nothing above | Text that begins with `*` needs quotes"),
        ("a: 1\n---\nb: 2", "2:1 A second document begins here | A config is one document: delete `---`."),
        ("? [a]\n: b", "1:3 A key must be text | "),
        ("a: {{ name }}", "1:5 This is read as a mapping, not as text | `{{ … }}` means something to YAML"),
        ("a: x-{{ name }}: y", "1:16 This is not valid YAML: a second colon, or a line indented too far | `{{ … }}`"),
        ("&x a: 1\n*x : 2", "2:1 An alias cannot be a key | Write the key itself."),
        ("'': 1", "1:1 A key is missing before the colon | Write `key: value`."),
        ("a: !!python/object/apply:os.system [id]", "1:4 The tag `tag:yaml.org,2002:python/object/apply:os.system` is"),
        ("a: !secret b", "1:4 The tag `!secret` is not allowed | Text that begins with `!` needs quotes"),
        (b"a: 1\nb: \xff", "2:4 The file is not UTF-8 text | Save it with the encoding UTF-8."),
        (b"\xff\xfea\x00", "1:1 The file is not UTF-8 text | "),
        ("a: 1\nb: \x1b[31m", "2:4 The character U+001B is not allowed here | "),
        ("a: \x00", "1:4 The character U+0000 is not allowed here | "),
        ("a: 1\rb: 2", "1:5 The character U+000D is not allowed here | "),
        ("a: x\u202ey", "1:5 The character U+202E is not allowed here | "),
        ("a: x\u2028b: y", "1:5 The character U+2028 is not allowed here | "),
        ("a: \ufeff", "1:4 The character U+FEFF is not allowed here | "),
        ('a: "\\ud800"', "1:4 The character U+D800 is not allowed here | "),
        ('a: "\\0"', "1:4 The character U+0000 is not allowed here | "),
        ('"\\e": b', "1:1 The character U+001B is not allowed here | "),
        ('a: "\\UFFFFFFFF"', "1:7 This is not valid YAML: it cannot be read | "),
        (
            "%YAML 1." + "0" * 6000 + "\n---\na: 1",
            "1:9 This is not valid YAML: it cannot be read | A line that begins w",
        ),
        ("x" * (MAX_BYTES + 1), "1:1 The file is larger than 64 KiB | "),
    ],
)
def test_what_is_refused_is_said_where_it_stands(text: str | bytes, problem: str) -> None:
    _, problems = read(text)

    assert len(problems) == 1
    assert problems[0].startswith(problem)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a:\n\tb: 1", "2:1 This is not valid YAML: there is a tab here | YAML is indented by spaces, never by tabs."),
        ("a: python x.py: y", "1:15 This is not valid YAML: a second colon, or a line indented too far | A value that"),
        (
            "a: 1\nb\nc: 2",
            "3:1 This is not valid YAML: a colon is missing here or on a line above | A line of a mapping",
        ),
        ("a: *.py", "1:5 This is not valid YAML: `*` and `&` have a meaning of their own | Text that begins with"),
        ("a: @x", "1:4 This is not valid YAML: no value can begin with this character | Put the value in quotes."),
        ("a: 'x\nb: c\n", "1:4 This is not valid YAML: what is opened here is never closed | Close the quotes"),
        ("a: [x, y\nb: c\n", "2:2 This is not valid YAML: a comma or a closing bracket is missing | Write `[a, b]`"),
        (
            'a: "\\d"',
            "1:6 This is not valid YAML: in double quotes `\\` is special | Use single quotes, or write `\\\\`.",
        ),
        ("a:\n - b\n c: d", "3:2 This is not valid YAML: the indentation fits nothing above | The items of one list"),
        ("a: |\n  x\n y", "3:2 This is not valid YAML: the indentation fits nothing above | "),
    ],
)
def test_the_parsers_complaints_are_said_in_words_that_help(text: str, problem: str) -> None:
    _, problems = read(text)

    assert len(problems) == 1
    assert problems[0].startswith(problem)


def test_all_second_keys_are_told_not_only_the_first() -> None:
    _, problems = read("a: 1\na: 2\nb: {c: 1, c: 2}\n")

    assert [problem.split()[0] for problem in problems] == ["2:1", "3:11"]


def laughs(first: str, level: str, levels: int) -> str:
    """A file whose values double at each level: a few hundred bytes become more than all memory."""
    lines = [f"a0: &a0 {first}"]
    lines += [f"a{n}: &a{n} {level.replace('@', f'*a{n - 1}')}" for n in range(1, levels)]
    return "\n".join(lines)


@pytest.mark.parametrize(
    "text",
    [
        laughs("{k: v}", "{<<: [@, @]}", 25),
        laughs("[x]", "[@, @]", 25),
        laughs("[x, x, x, x, x, x, x, x]", "[@, @, @]", 16),
        "a: [" + ", ".join(["&a x"] + ["*a"] * (MAX_ALIASES + 1)) + "]",
        "[" * 500,
        "[" * 60_000,
        "- " * 30_000,
        "{a: " * 10_000,
        "? " * 30_000,
        laughs("[x]", "[[[[[@]]]]]", 20),
    ],
)
def test_bombs_are_refused_at_once(text: str) -> None:
    begin = time.process_time()
    _, problems = read(text)
    taken = time.process_time() - begin

    assert len(problems) == 1
    assert re.search(r"levels deep|values|aliases|must be text", problems[0])
    # Not a measurement: a bomb that goes off takes minutes, and memory with them.
    assert taken < 5


def test_depth_and_number_of_values_have_limits_that_no_config_reaches() -> None:
    assert read("[" * MAX_DEPTH + "x" + "]" * MAX_DEPTH)[1] == []
    assert read("[" * (MAX_DEPTH + 1) + "x" + "]" * (MAX_DEPTH + 1))[1] != []
    # Fifty lists of 198 texts (199 values each), 49 of them by alias, in a list.
    many = "- &a [" + "x," * 198 + "]\n" + "- *a\n" * 49
    left = MAX_VALUES - 50 * 199 - 1
    assert read(many + "- x\n" * left)[1] == []
    assert read(many + "- x\n" * (left + 1))[1] != []


def test_what_the_yaml_library_calls_unprintable_is_refused_by_us_with_a_place() -> None:
    """Its own refusal has no line: we must never get that far."""
    everything = "".join(map(chr, [*range(0x10000), 0x10000, sys.maxunicode]))

    assert set(Reader.NON_PRINTABLE.findall(everything)) <= set(FORBIDDEN.findall(everything))
