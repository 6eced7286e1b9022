"""Remarks on lines of the commit: what is wrong with the config, and where experiments failed."""

from collections.abc import Iterable, Iterator, Sequence

from bot.core.config.problems import Problem
from bot.core.report.causes import annotation_title
from bot.core.report.part import Part
from bot.core.report.pieces import PlaceFacts
from bot.core.report.views import ANNOTATIONS, TITLE_CHARACTERS, Annotation
from bot.core.text import line, prose
from bot.core.text import name as one_line

NAMES = 10
"""How many cells or tasks an annotation names that is about several."""


def of_config(problems: Sequence[Problem]) -> tuple[Annotation, ...]:
    """Return a remark for each problem, in their order, as many as one request takes."""
    return tuple(_of_problem(problem) for problem in problems[:ANNOTATIONS])


def of_failures(parts: Iterable[Part]) -> tuple[Annotation, ...]:
    """Return a remark for each line at which one of these experiments failed, as many as one request takes.

    Where several cells or tasks failed alike there is one remark, which names them.
    """
    found: dict[tuple[str, int, str, str], list[str]] = {}
    for part in parts:
        for place, who in _places(part):
            key = place.path, place.line, annotation_title(place.exception), _message(place)
            found.setdefault(key, []).append(who)
    return tuple(_failure(*key, who) for key, who in found.items())[:ANNOTATIONS]


def _of_problem(problem: Problem) -> Annotation:
    is_error = problem.severity == "error"
    return Annotation(
        path=one_line(problem.path),
        line=problem.line,
        level="failure" if is_error else "warning",
        title="Error in the config" if is_error else "Warning about the config",
        message=prose(f"{problem.message}\n{problem.hint}"),
        column=problem.column,
    )


def _places(part: Part) -> Iterator[tuple[PlaceFacts, str]]:
    """Yield where an experiment failed, and who that was: nobody has to be named where there is only one."""
    has_tasks = len(part.facts.tasks) > 1
    for place in part.places:
        yield place, " ".join(filter(None, (part.facts.variant, place.task if has_tasks else "")))


def _message(place: PlaceFacts) -> str:
    where = f"in {place.function}: {place.source}" if place.function else place.source
    return f"{place.exception}\n\n{where}".strip()


def _failure(path: str, number: int, title: str, message: str, who: Sequence[str]) -> Annotation:
    names = [name for name in who if name]
    if names:
        more = f" and {len(names) - NAMES} more" if len(names) > NAMES else ""
        message = f"{message}\n\nFailed here: {'; '.join(line(name, 100) for name in names[:NAMES])}{more}"
    return Annotation(path, number, "failure", line(title, TITLE_CHARACTERS), prose(message))
