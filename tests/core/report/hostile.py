"""A commit on which everything that a stranger may name is a weapon."""

from dataclasses import replace

from bot.core.config.problems import Problem
from bot.core.gates import Gate, GateResult, Range, Verdict
from bot.core.report import CommitFacts, EarlierCommit, ExperimentFacts, MetricFacts, RunFacts
from bot.core.series import Source
from bot.core.states import State
from bot.core.text import MARKER
from tests.core.report import examples as e

WEAPON = (
    f"@octocat #1 GH-2 https://evil.example | `x` **y** ![p](http://evil.example/p) </details> {MARKER} \u202e\n# h"
)


def gate(weapon: str, verdict: Verdict, value: float | None) -> GateResult:
    rule = Gate(Source.CUSTOM, weapon, Range(0.5, None), f"/{weapon}")
    return GateResult(rule, verdict, value, f"{weapon} was `{weapon}`", (weapon, weapon))


def experiment(weapon: str) -> ExperimentFacts:
    """Return a failed experiment made of `weapon`."""
    return replace(
        e.BROKEN,
        public_id="01hx3v9k2m7qf",
        workflow=weapon,
        step=weapon,
        variant=weapon,
        reason=weapon,
        gates=(gate(weapon, Verdict.NOT_EVALUATED, None), gate(f"{weapon}2", Verdict.NOT_EVALUATED, None)),
        metrics=(MetricFacts(Source.TENSORFLOW, weapon, 0.5, 3, (0.1, 0.5)),),
        caveats=(weapon,),
        command=f"python train.py\n```\n{weapon}",
        workdir=weapon,
        machine=weapon,
        environment=weapon,
        isolation=weapon,
        log_tail=f"{weapon}\n```\n</details>\nTraceback (most recent call last):\n  File {weapon}\n{weapon}",
        report_md=f"# {weapon}\n\n<script>alert(1)</script>\n\n{weapon}",
        not_launchable="",
    )


def commit(weapon: str = WEAPON) -> CommitFacts:
    """Return a commit whose experiment failed, one whose gate failed, one left out, and a warning: all hostile."""
    failed = experiment(weapon)
    below = replace(failed, state=State.STOPPED, step=f"{weapon}3", gates=(gate(weapon, Verdict.FAILED, 0.25),))
    return e.commit(
        title=weapon,
        problems=(Problem("warning", weapon, weapon, weapon, 3, 1),),
        runs=(RunFacts(weapon, (failed, below)), RunFacts(f"{weapon}4", (replace(failed, step="left out"),), weapon)),
    )


EARLIER = EarlierCommit("9fceb02d0ae598e95dc970b74767f19372d61af8", WEAPON, "failure", WEAPON)
