"""A commit on which everything that a stranger may name is a weapon."""

from dataclasses import replace

from bot.core.config.problems import Problem
from bot.core.demands import GateChange, removed
from bot.core.gates import Gate, GateResult, Range, Verdict
from bot.core.report import (
    CommitFacts,
    ComparisonFacts,
    EarlierCommit,
    ExperimentFacts,
    HeldFacts,
    ImageFacts,
    MetricFacts,
    ModelFacts,
    PlaceFacts,
    PullLine,
    ReferenceFacts,
    RequestFacts,
    RunFacts,
    SearchFacts,
    TaskFacts,
    WouldRun,
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

EARLIER = EarlierCommit("9fceb02d0ae598e95dc970b74767f19372d61af8", WEAPON, "failure", WEAPON)


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
        settings={weapon: weapon},
        params={weapon: weapon, f"{weapon}2": weapon},
    )


def gone(weapon: str) -> ExperimentFacts:
    """Return a name that only the base has."""
    gates = (removed(gate(weapon, Verdict.PASSED, 1).gate, weapon),)
    return e.experiment(State.CREATED, workflow=weapon, step=f"{weapon}9", removed_from=weapon, gates=gates)


def comparisons(weapon: str) -> tuple[ComparisonFacts, ...]:
    """Return the base, something that was asked for, and something that is not there."""
    there = ReferenceFacts({f"custom:{weapon}": 0.125}, {f"tensorflow:{weapon}": 0.25}, {weapon: "other", "x": weapon})
    places = {(weapon, weapon, weapon): there, (weapon, f"{weapon}3", weapon): there}
    return (
        ComparisonFacts(weapon, "merge base", EARLIER.sha, weapon, experiments=places),
        ComparisonFacts(f"{weapon}2", "asked", EARLIER.sha, weapon, experiments=places),
        ComparisonFacts(f"{weapon}3", "asked", reason=weapon),
    )


def held(weapon: str = "", why: str = "fork") -> CommitFacts:
    """Return a commit of which nothing runs, from somebody whose name is a weapon."""
    steps = (
        WouldRun(weapon, 1, 1, weapon, 2, 4_096, 1, 60.0, usual=5),
        WouldRun(weapon, 1, 1, weapon, 2, 4_096, 1, 60.0, weapon),
    )
    runs = (RunFacts(weapon, (experiment(weapon),), is_held=True),)
    return e.commit(title=weapon, held=HeldFacts(why, weapon, weapon, steps), runs=runs, requests=(request(weapon),))


def request(weapon: str) -> RequestFacts:
    return RequestFacts(weapon, weapon, False, weapon, e.BEGIN)


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
        pulls=(PullLine(7, weapon, is_open=True), PullLine(8, weapon, is_open=True)),
        changes=(GateChange(weapon, weapon, failed.gates[0].gate, below.gates[0].gate),),
        requests=(request(weapon),),
        comparisons=comparisons(weapon),
        runs=(
            RunFacts(weapon, (failed, below, *cells(weapon), gone(weapon))),
            RunFacts(f"{weapon}4", (replace(failed, step="left out"),), weapon),
            RunFacts(
                f"{weapon}5", (cluster(weapon), search(weapon, State.STOPPED), search(f"{weapon}6", State.RUNNING))
            ),
        ),
    )
