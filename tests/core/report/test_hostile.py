"""Names, logs and reports as weapons: what GitHub shows holds our links and our layout, and nothing else."""

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from bot.core.report import PullFacts, desired_checks, desired_comment
from bot.core.text import MARKER
from tests.core.rendering import Page
from tests.core.report import examples as e
from tests.core.report import hostile
from tests.core.report.words import RENDERER
from tests.core.test_text import hostile as weapons

OURS = (
    "https://ci.example.org/e/",
    f"https://github.com/octo/digits/commit/{e.SHA}",
    f"https://github.com/octo/digits/blob/{e.SHA}/",
    f"https://github.com/octo/digits/commit/{hostile.EARLIER.sha}",
    "https://github.com/octo/digits/pull/7",
    "https://github.com/octo/digits/pull/8",
)


COLUMNS = {2, 3, 4, 5, 6, 7}
"""Parameters; gates of a matrix, trials, tasks and checks; cells; metrics."""


def assert_harmless(markdown: str, columns: set[int]) -> None:
    page = Page(markdown)
    assert page.is_closed
    assert [link for link in page.links if not link.startswith(OURS)] == []
    assert page.images == []
    assert page.alive == []
    assert set(page.rows) <= columns
    assert page.tags.count("details") == page.tags.count("summary") == markdown.count("\n<summary>")
    assert not {"script", "b", "h1", "h2", "hr", "input"} & set(page.tags)


@given(weapons)
@example(hostile.WEAPON)
@settings(deadline=None, max_examples=8, suppress_health_check=[HealthCheck.too_slow])
def test_checks_hold_only_what_is_ours(weapon: str) -> None:
    for view in desired_checks(hostile.commit(weapon), RENDERER):
        assert_harmless(view.summary, COLUMNS)
        # The report that a run wrote may have tables of its own.
        assert_harmless(view.text or "", {*range(1, 40)})
        for words in (view.title, view.name, *(f"{one.title} {one.message}" for one in view.annotations)):
            words.encode()
        assert "\n" not in view.title + view.name


@given(weapons)
@example(hostile.WEAPON)
@settings(deadline=None, max_examples=8, suppress_health_check=[HealthCheck.too_slow])
def test_the_comment_holds_only_what_is_ours(weapon: str) -> None:
    earlier = e.replace(hostile.EARLIER, title=weapon, verdict=weapon)
    asked = (hostile.request(weapon),)
    view = desired_comment(PullFacts(7, hostile.commit(weapon), (earlier,), requests=asked), RENDERER)
    assert view is not None
    assert_harmless(view.body, {2, 3, 4, 5, 6})
    assert view.body.count(MARKER) == 1
    assert "\n" not in view.body.split("\n\n")[0]


@given(weapons, st.sampled_from(["fork", "author", "skip", "draft"]))
@example(hostile.WEAPON, "fork")
@settings(deadline=None, max_examples=8, suppress_health_check=[HealthCheck.too_slow])
def test_what_waits_for_a_yes_holds_only_what_is_ours(weapon: str, why: str) -> None:
    commit = hostile.held(weapon, why)
    for view in desired_checks(commit, RENDERER):
        assert_harmless(view.summary, {5})
        assert "\n" not in view.title + view.name
    comment = desired_comment(PullFacts(7, commit, wants_help=True), RENDERER)
    assert comment is not None
    assert_harmless(comment.body, {2, 5})


@pytest.mark.parametrize("weapon", ["", " ", "\n", "\ud800", "x" * 5_000, "🔥" * 300])
def test_names_are_unique_whatever_they_are(weapon: str) -> None:
    names = [view.name for view in desired_checks(hostile.commit(weapon), RENDERER)]
    assert len(set(names)) == len(names)
    assert all(0 < len(name.encode()) <= 255 for name in names)
