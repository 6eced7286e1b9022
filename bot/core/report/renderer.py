"""Templates become text. What a template shows is neutralised unless it is marked as ours."""

import re
import shlex
from collections.abc import Callable, Mapping
from html import escape
from itertools import islice

from jinja2 import BaseLoader, Environment, StrictUndefined, Undefined

from bot.core import search, text
from bot.core.markdown import rebuilt
from bot.core.report import figures
from bot.core.report.comparison import MOST_PARAMETERS, MOST_ROWS, Change, ComparisonFacts
from bot.core.report.facts import CommitFacts, ExperimentFacts
from bot.core.report.overview import Overview
from bot.core.report.part import UNGATED
from bot.core.report.standing import Standing
from bot.core.report.views import Conclusion
from bot.core.series import sparkline
from bot.core.space import Scalar, written
from bot.core.text import Safe
from bot.core.trials import Trial

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)

_ICONS = {
    Conclusion.SUCCESS: "✅",
    Conclusion.FAILURE: "❌",
    Conclusion.TIMED_OUT: "❌",
    Conclusion.CANCELLED: "⏹️",
    Conclusion.SKIPPED: "⏭️",
    Conclusion.ACTION_REQUIRED: "✋",
}

REPORT_BYTES = 24_000
LOG_BYTES = 20_000
"""What a run's own report, and its log, may take of a check's 65,535 bytes."""

FEW, LONG = 5, 40
"""How many parameters of a trial are named on one line, and the most characters of each."""


class Renderer:
    """Renders `report/<name>` of a loader's templates.

    `markdown` is for bodies, `title` for places without Markdown, `words` for a terminal.
    """

    def __init__(self, loader: BaseLoader) -> None:
        self._markdown = _environment(loader, text.plain)
        self._markdown.filters |= {
            "bold": _bold,
            "code": text.code,
            "fenced": text.fenced,
            "image": text.image,
            "link": text.link,
            "log": lambda log, share=1: text.fenced(log, limit=LOG_BYTES // share),
            "reproduction": reproduction,
            "raw": _raw,
            "rebuilt": lambda report: rebuilt(report, REPORT_BYTES),
            "sentence": sentence,
        }
        self._titles = _environment(loader, text.line)
        self._words = _environment(loader, text.short)

    def markdown(self, template: str, /, **context: object) -> str:
        """Return a template rendered as Markdown, without blank lines in excess."""
        rendered = self._markdown.get_template(f"report/{template}.md.j2").render(context)
        while "\n\n\n" in rendered:
            rendered = rendered.replace("\n\n\n", "\n\n")
        return rendered.strip()

    def headline(self, seen: Overview) -> Safe:
        """Return a commit's verdict and its reason in one line of Markdown."""
        return Safe(" ".join(self.markdown("headline", seen=seen).split("\n")))

    def title(self, template: str, /, **context: object) -> str:
        """Return a template rendered as one line."""
        return _one_line(self._titles, template, context)

    def words(self, template: str, /, **context: object) -> str:
        """Return a title with every name as it is, but for what a terminal would obey."""
        return _one_line(self._words, template, context)


def _one_line(environment: Environment, template: str, context: Mapping[str, object]) -> str:
    return " ".join(environment.get_template(f"report/{template}.title.j2").render(context).split())


def icon(conclusion: str | None) -> Safe:
    """Return the sign of a conclusion, or of its absence."""
    return Safe("⏳" if conclusion is None else _ICONS[Conclusion(conclusion)])


def sentence(words: str) -> Safe:
    """Return a reason as Markdown: what stands in backticks is code, everything else plain.

    Who quotes a name in a reason puts it in backticks; a name with backticks of its own only moves the borders.
    """
    parts = text.clean(words)[:1_000].split("`")
    shown = [_part(part, is_code=index % 2 == 1 and index < len(parts) - 1) for index, part in enumerate(parts)]
    return Safe("".join(shown).strip())


def reproduction(x: ExperimentFacts, commit: CommitFacts) -> str:
    """Return the shell lines that run an experiment again from nothing; of a search, its best trial."""
    folder = commit.full_name.rpartition("/")[2]
    lines = [f"git clone {commit.repository_url}.git", f"cd {folder}", f"git checkout {commit.sha}"]
    if x.workdir not in ("", "."):
        lines.append(f"cd {shlex.quote(x.workdir)}")
    command, variables = x.command.strip(), dict(x.variables)
    if x.best_trial is not None:
        command, variables = _of_trial(x.best_trial, command, variables)
    lines += [f"export {name}={shlex.quote(value)}" for name, value in variables.items() if _VARIABLE.fullmatch(name)]
    return "\n".join([*lines, command])


def _of_trial(trial: Trial, template: str, variables: dict[str, str]) -> tuple[str, dict[str, str]]:
    """Return the command and the variables of one trial; the template itself where the parameters do not fit it."""
    try:
        command = shlex.join(search.command(template, trial.params)) if "{" in template else template
    except search.SpaceError:
        command = template
    return command, {**variables, **search.environment(trial.params)}


def _part(part: str, *, is_code: bool) -> str:
    if is_code:
        return text.code(part)
    shown = text.plain(part, 1_000)
    before, after = part[:1].isspace(), bool(shown) and part[-1:].isspace()
    return f"{' ' * before}{shown}{' ' * after}"


def _environment(loader: BaseLoader, neutralise: Callable[[str], str]) -> Environment:
    def finalize(value: object) -> str:
        if isinstance(value, Safe):
            return value
        if isinstance(value, str | int):
            return neutralise(str(value))
        if isinstance(value, Undefined):
            str(value)  # raises UndefinedError, with the name that is missing
        # None and objects: a template that shows them has a mistake, which must not reach GitHub as "None".
        raise TypeError(f"a template cannot show {type(value).__name__}")

    environment = Environment(
        loader=loader,
        finalize=finalize,
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701 - GitHub's Markdown is not HTML: `finalize` does what it needs, and more
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "icon": lambda standing: icon(standing.conclusion if isinstance(standing, Standing) else standing),
        "counted": lambda count, noun: Safe(figures.counted(count, noun)),
        "bare": lambda words: words.replace("`", ""),
        "leading_capital": lambda words: words[:1].upper() + words[1:],
        "number": lambda value: Safe(figures.number(value)),
        "compared": lambda value, precision: Safe(figures.compared(value, precision)),
        "target": lambda wanted: Safe(figures.target(wanted)),
        "mine": lambda change: Safe(change.mine),
        "other": lambda change: Safe(change.shown),
        "told": lambda change: Safe(change.told),
        "compared_rows": _compared_rows,
        "differences": _differences,
        "hours": lambda count, of: Safe(f"{figures.estimate(count)} {of} hour{'' if count == 1 else 's'}"),
        "details": lambda gate: Safe(figures.details(gate)),
        "at_most": lambda microseconds: Safe(figures.at_most(microseconds)),
        "duration": lambda microseconds: Safe(figures.duration(microseconds)),
        "time": lambda at: Safe(figures.time_of_day(at)),
        "date": lambda at: Safe(figures.date(at)),
        "size": lambda count: Safe(figures.size(count)),
        "parameters": _parameters,
        "parameter": figures.parameter,
        "written": written,
        "memory": lambda megabytes: Safe(figures.memory(megabytes)),
        "sparkline": lambda values: Safe(sparkline(values)),
    }
    return environment


def _bold(words: str) -> Safe:
    return Safe(f"**{text.plain(words)}**")


def _raw(words: str) -> Safe:
    """Return words for a `<summary>`, inside of which GitHub reads HTML and no Markdown."""
    return Safe(escape(text.line(words)))


def _parameters(params: Mapping[str, Scalar]) -> str:
    """Return `lr=0.01, units=64`: the first few, none at length."""
    shown = [f"{name}={figures.parameter(value)}"[:LONG] for name, value in islice(params.items(), FEW)]
    return ", ".join([*shown, "…"] if len(params) > FEW else shown)


def _compared_rows(comparison: ComparisonFacts, seen: Overview) -> list[tuple[str, str, Change]]:
    """Return the metrics that both have: the experiment's label, name, change. What the overview shows is left out."""
    found: list[tuple[str, str, Change]] = []
    for part in seen.parts:
        if (beside := comparison.of(part)) is not None:
            is_shown = comparison.is_base and part in seen.blocks
            rows = beside.ungated(part.ungated[UNGATED:]) if is_shown else beside.rows()
            found += [(part.label, name, change) for name, change in rows]
    return found[:MOST_ROWS]


def _differences(comparison: ComparisonFacts, seen: Overview) -> list[tuple[str, str, str, str]]:
    """Return the parameters that differ: the experiment's label, name, here, there."""
    pairs = [(part.label, comparison.of(part)) for part in seen.parts]
    found = [(label, *one) for label, beside in pairs if beside is not None for one in beside.parameters]
    return found[:MOST_PARAMETERS]
