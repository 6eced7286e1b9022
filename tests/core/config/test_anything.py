"""Whatever a repository holds: an answer, never an exception."""

from hypothesis import given, settings
from hypothesis import strategies as st

from bot.core.config import is_ours, load, render_terminal
from tests.core.config.test_matrix import MATRIX
from tests.core.config.test_search import SEARCH
from tests.core.config.test_version1 import SINGLE
from tests.core.config.test_version2 import EVERYTHING

PIECES = (
    *"{}[]:-?|>#%&*!'\"\\~,\n\t",
    *("  ", ": ", "- ", "&a ", "*a", "<<: *a", "!!str ", "null", "---\n", "...\n", "{{x}}", "..", "1e999", ".nan"),
    *("version: 1\n", "version: 2\n", "workflows:", "steps:", "checks:", "default", "paramsFile: a", "\x00", "\x1b[0m"),
    *('"\\ud800"', '"\\UFFFFFFFF"', "\ufeff", "\u2028", "\u202e", "\udcff", "9" * 5000, "a" * 300),
)
pieces = st.lists(st.sampled_from(PIECES), max_size=12).map("".join)
edits = st.lists(st.tuples(st.integers(0, 2500), st.integers(0, 20), pieces), min_size=1, max_size=4)


def answer(data: bytes) -> None:
    """Read the file, and read it again as every `paramsFile` that it names."""
    loaded = load(data, "config.yaml", lambda path: data)
    lines = data.decode("utf-8", "replace").split("\n")
    assert (loaded.config is None) is bool(loaded.errors)
    assert len(loaded.problems) <= 50
    for problem in loaded.problems:
        assert 1 <= problem.line <= len(lines)
        assert problem.column >= 1
        assert problem.message
        assert problem.hint
        # What is told must be fit to be stored and sent.
        f"{problem.path}{problem.message}{problem.hint}".encode()
    render_terminal(loaded, data.decode("utf-8", "replace")).encode()
    is_ours(data)


@settings(max_examples=50, deadline=None)
@given(st.binary(max_size=200) | pieces.map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_any_bytes(data: bytes) -> None:
    answer(data)


@settings(max_examples=50, deadline=None)
@given(st.text(max_size=200))
def test_any_text(text: str) -> None:
    answer(text.encode("utf-8", "surrogatepass"))
    answer(f"version: 2\nworkflows: {text}".encode("utf-8", "surrogatepass"))


@settings(max_examples=60, deadline=None)
@given(st.sampled_from((EVERYTHING, SINGLE, SEARCH, MATRIX)), edits)
def test_any_mutation_of_a_sound_file(text: str, changes: list[tuple[int, int, str]]) -> None:
    for position, length, piece in changes:
        text = text[:position] + piece + text[position + length :]
    answer(text.encode("utf-8", "surrogatepass"))
