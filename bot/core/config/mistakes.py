"""What the YAML parser's complaints mean for the person who wrote the line."""

import re

_TEMPLATE = re.compile(r"\{\{|\{%")
_TEMPLATE_HINT = "`{{ … }}` means something to YAML: put the whole value in quotes, or write it as a `|` block."

_CHOICE = re.compile(r"\bchoice\(\[")
_CHOICE_HINT = (
    "Inside braces put `choice([…])` in quotes, or write `[…]` alone, or each parameter on a line of its own."
)

_KNOWN: tuple[tuple[str, str, str], ...] = (
    (r"\\t", "there is a tab here", "YAML is indented by spaces, never by tabs."),
    (
        r"mapping values are not allowed",
        "a second colon, or a line indented too far",
        "A value that contains `: ` needs quotes (or a `|` block); otherwise look at the indentation.",
    ),
    (
        r"could not find expected ':'",
        "a colon is missing here or on a line above",
        "A line of a mapping is `key: value`; quotes that are left open swallow the lines below.",
    ),
    (
        r"scanning an? (alias|anchor)",
        "`*` and `&` have a meaning of their own",
        "Text that begins with `*` or `&` needs quotes.",
    ),
    (
        r"cannot start any token",
        "no value can begin with this character",
        "Put the value in quotes.",
    ),
    (
        r"stream end|end of stream|document separator",
        "what is opened here is never closed",
        "Close the quotes or the bracket.",
    ),
    (
        r"unknown escape|escape sequence",
        "in double quotes `\\` is special",
        "Use single quotes, or write `\\\\`.",
    ),
    (r"expected ',' or", "a comma or a closing bracket is missing", "Write `[a, b]` or `{a: 1, b: 2}`."),
    (
        r"<block end>|block sequence|block collection|block mapping|indent",
        "the indentation fits nothing above",
        "The items of one list, and the keys of one mapping, begin in the same column.",
    ),
)
"""The parser's words → ours, and what to do."""

_ANYTHING = "Look at the quotes and the indentation of this line and of the one before."
_DIRECTIVE = "A line that begins with `%` is YAML's own: put the text in quotes."


def explain(problem: str, context: str, line: str) -> tuple[str, str]:
    """Return message and hint for a syntax error: the parser's `problem` and `context`, and the line it is in."""
    said, hint = _translate(problem, context)
    if _TEMPLATE.search(line):
        hint = _TEMPLATE_HINT
    elif _CHOICE.search(line):
        hint = _CHOICE_HINT
    elif line.startswith("%"):
        hint = _DIRECTIVE
    return f"This is not valid YAML: {said}", hint


def _translate(problem: str, context: str) -> tuple[str, str]:
    for pattern, said, hint in _KNOWN:
        if re.search(pattern, f"{context} {problem}"):
            return said, hint
    return " ".join(problem.split())[:120] or "it cannot be read", _ANYTHING


def explain_key(line: str) -> tuple[str, str]:
    """Return message and hint for a key that is no text."""
    if _TEMPLATE.search(line):
        return "This is read as a mapping, not as text", _TEMPLATE_HINT
    return "A key must be text", "Put text that contains `{`, `[` or `?` in quotes."
