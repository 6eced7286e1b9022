"""A commit on which everything that a stranger may name is a weapon."""

from dataclasses import replace

from bot.core.config.problems import Problem
from bot.core.gates import Gate, GateResult, Range, Verdict
from bot.core.report import (
    CommitFacts,
    EarlierCommit,
    ExperimentFacts,
    ImageFacts,
    MetricFacts,
    ModelFacts,
    PlaceFacts,
    RunFacts,
    SearchFacts,
    TaskFacts,
)
from bot.core.search import Goal
from bot.core.series import Source
from bot.core.states import State
from bot.core.text import MARKER
from bot.core.trials import Trial, TrialState
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
        reports_each=True,
        progress=weapon,
        image=ImageFacts(weapon, used=False, reason=weapon),
        gpu=weapon,
        walls=(weapon, weapon),
        model=ModelFacts(weapon, 3, 4_096, e.SUCCEEDED.details_url),
        places=(PlaceFacts("worker-0", f"{weapon}.py", 3, f"ValueError: {weapon}", weapon, weapon),),
    )


def cluster(weapon: str) -> ExperimentFacts:
    """Return an experiment of several tasks, one of which failed."""
    tasks = (
        TaskFacts(weapon, State.FAILED, 1, 5, weapon, weapon, f"{weapon}\n```\n</details>\n{weapon}"),
        TaskFacts(f"{weapon}2", State.CANCELLED, None, 5, weapon, weapon, weapon),
    )
    place = PlaceFacts(weapon, f"{weapon}.py", 3, weapon, weapon, weapon)
    return replace(experiment(weapon), workflow=f"{weapon}5", variant="", tasks=tasks, places=(place,))


def search(weapon: str, state: State) -> ExperimentFacts:
    """Return a search whose parameters are weapons; its image was used."""
    params = {weapon: weapon, f"{weapon}2": 0.5}
    trials = tuple(Trial(n, params, TrialState.COMPLETE, n / 8, weapon, 1, 2, weapon) for n in range(3))
    facts = SearchFacts(Goal.MINIMIZE, f"custom:{weapon}", 3, trials)
    image = ImageFacts(weapon, used=True, digest=weapon)
    return replace(experiment(weapon), step=f"{weapon} search", variant="", state=state, search=facts, image=image)


def cells(weapon: str) -> tuple[ExperimentFacts, ...]:
    """Return a matrix: a cell that failed, one below its gate, one that runs."""
    failed = replace(
        experiment(weapon), step=f"{weapon} matrix", reports_each=False, variables={weapon: weapon, "x": weapon}
    )
    below = replace(failed, variant=f"{weapon}2", state=State.STOPPED, gates=(gate(weapon, Verdict.FAILED, 0.25),))
    return failed, below, replace(below, variant=f"{weapon}3")


def commit(weapon: str = WEAPON) -> CommitFacts:
    """Return a commit of failures, a matrix, tasks and searches, one run left out and a warning: all hostile."""
    failed = experiment(weapon)
    below = replace(failed, state=State.STOPPED, step=f"{weapon}3", gates=(gate(weapon, Verdict.FAILED, 0.25),))
    return e.commit(
        title=weapon,
        problems=(Problem("warning", weapon, weapon, weapon, 3, 1),),
        runs=(
            RunFacts(weapon, (failed, below, *cells(weapon))),
            RunFacts(f"{weapon}4", (replace(failed, step="left out"),), weapon),
            RunFacts(
                f"{weapon}5", (cluster(weapon), search(weapon, State.STOPPED), search(f"{weapon}6", State.RUNNING))
            ),
        ),
    )


EARLIER = EarlierCommit("9fceb02d0ae598e95dc970b74767f19372d61af8", WEAPON, "failure", WEAPON)
