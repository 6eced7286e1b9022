"""What a terminal is told while a commit is run: facts in, lines out. The words are those of the checks' titles."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from bot.core.report import CommitFacts, MetricFacts, Renderer, overview
from bot.core.report.causes import last_words
from bot.core.report.figures import duration, number
from bot.core.report.overview import Overview
from bot.core.report.part import Part
from bot.core.report.standing import Standing
from bot.core.report.views import Conclusion, Status
from bot.core.series import sparkline
from bot.core.states import State
from bot.core.text import clean, short
from bot.run.ink import Line, Span, Style, line, shortened

_SIGNS = {
    Conclusion.SUCCESS: Span("✓", Style.GOOD),
    Conclusion.FAILURE: Span("✗", Style.BAD),
    Conclusion.TIMED_OUT: Span("✗", Style.BAD),
    Conclusion.ACTION_REQUIRED: Span("✗", Style.BAD),
    Conclusion.CANCELLED: Span("■", Style.BAD),
    Conclusion.SKIPPED: Span("-", Style.DIM),
}
_LABEL, _NAME, _ROW = 44, 32, 500
"""Columns of an experiment's label and of a metric's name, and characters of a row of a log."""
_BARS, _METRICS = 12, 4
"""Bars of a curve, and how many metrics have one."""
_TOOK = len("12 min 05 s")


def seen_of(commit: CommitFacts, workflows: frozenset[str]) -> Overview:
    """Return the overview of a commit as far as these workflows are concerned; each trial of a search is told."""
    runs = tuple(run for run in commit.runs if run.workflow in workflows)
    return overview.of_commit(replace(commit, runs=runs))


def sign(standing: Standing) -> Span:
    """Return the sign of how something stands."""
    return Span("·") if standing.conclusion is None else _SIGNS[standing.conclusion]


def title(part: Part, seen: Overview, renderer: Renderer) -> str:
    """Return how an experiment stands, as the title of its check says it."""
    search = None if part.facts.search is None else part.facts.search.seen(is_done=True)
    return renderer.words("experiment", part=replace(part, search=search), x=part.facts, seen=seen)


def verdict(seen: Overview, renderer: Renderer) -> Line:
    """Return how everything together stands, as the title of the roll-up says it."""
    return sign(seen.standing), Span(" "), Span(renderer.words("rollup", seen=seen), Style.BOLD)


def status(seen: Overview) -> int:
    """Return the exit status: 0 where nothing keeps a merge button shut, else 1."""
    return 0 if seen.standing.conclusion in (Conclusion.SUCCESS, Conclusion.SKIPPED) else 1


def ended(part: Part, seen: Overview, renderer: Renderer) -> list[Line]:
    """Return what is said when an experiment is over: how it ended and, where it failed, what its log says last."""
    head = (sign(part.standing), Span(" "), Span(_label(part), Style.BOLD))
    words = last_words(part.facts.last_log) if part.is_users_failure else ""
    rows = [row for row in clean(words).split("\n") if row.strip()]
    return [
        (*head, Span(f"  {title(part, seen, renderer)}")),
        *((Span(f"    │ {row[:_ROW]}", Style.DIM),) for row in rows),
    ]


def drawing(seen: Overview, renderer: Renderer, now: int, since: int, hint: str, height: int) -> list[Line]:
    """Return what is under way, in at most `height` lines, and how far it all is. Times in microseconds."""
    active = [part for part in seen.parts if not part.standing.is_done]
    active.sort(key=lambda part: part.standing.status is Status.QUEUED)
    label = max((Span(_label(part)).width for part in active), default=0)
    lines, left = list[Line](), max(1, height - 1)
    for place, part in enumerate(active):
        own = list(_under_way(part, seen, renderer, now, label))
        is_last = place == len(active) - 1
        if len(lines) + len(own) + (not is_last) > left:
            lines.append(line(f"  … and {len(active) - place} more", Style.DIM))
            break
        lines += own
    done = f"{seen.finished} of {seen.experiments} finished · {duration(now - since)} · {hint}"
    return [*lines, line(f"  {done}", Style.DIM)]


def _label(part: Part) -> str:
    return shortened(short(part.label), _LABEL)


def _under_way(part: Part, seen: Overview, renderer: Renderer, now: int, width: int) -> Iterator[Line]:
    """Yield how an experiment is getting on, and below it the curves of what it has measured so far."""
    x, label = part.facts, Span(_label(part), Style.BOLD)
    begun = x.entered(State.PROVISIONING) or x.entered(State.CREATED)
    took = "" if begun is None else duration(now - begun)
    told = title(part, seen, renderer)
    if x.progress and x.state in (State.CREATED, State.PROVISIONING):
        told = f"{told}: {short(x.progress)}"
    is_waiting = part.standing.status is Status.QUEUED
    yield Span("· " if is_waiting else "▸ "), label, Span(f"{' ' * (width - label.width)}  {took:>{_TOOK}}  {told}")
    if curves := _curves([row.metric for row in part.gates if row.metric is not None] + [*part.ungated]):
        yield (Span(f"{' ' * (width + _TOOK + 6)}{'   '.join(curves)}", Style.DIM),)


def _curves(metrics: Sequence[MetricFacts]) -> list[str]:
    drawn = [metric for metric in metrics if len(metric.values) > 1][:_METRICS]
    return [
        f"{shortened(short(metric.name), _NAME)} {number(metric.last)} {sparkline(metric.values, _BARS)}"
        for metric in drawn
    ]
