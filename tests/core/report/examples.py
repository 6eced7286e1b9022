"""One repository's day, as facts: the situations whose words are pinned in golden/."""

from dataclasses import replace

from bot.core.config.problems import Problem
from bot.core.gates import Gate, GateResult, Range, Verdict
from bot.core.report import (
    CommitFacts,
    EarlierCommit,
    ExperimentFacts,
    MetricFacts,
    PlaceFacts,
    PullFacts,
    RunFacts,
)
from bot.core.series import Source
from bot.core.states import SECOND, WAY, Observation, State

SHA = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
BEGIN = 1_782_993_785 * SECOND  # 2026-07-02 12:03:05 UTC
STAYS = (0.4, 2.1, 0.9, 0.2, 0.3, 83.0, 0.5)
"""Seconds in each state of the way."""

MARKDOWN_REPORT = """# Digits

Trained on **1,437** images, see [the notes](https://example.org/notes).

| class | recall |
|---|---|
| 8 | 0.71 |

![confusion](confusion.png)
"""

TRACEBACK = """\
epoch 1: loss 2.301
epoch 2: loss nan
Traceback (most recent call last):
  File "/workspace/train.py", line 41, in <module>
    main()
  File "/workspace/train.py", line 33, in main
    check(loss)
  File "/workspace/train.py", line 12, in check
    raise ValueError(f"the loss is {loss}")
ValueError: the loss is nan
"""

IMPORTS = """\
Traceback (most recent call last):
  File "/workspace/train.py", line 3, in <module>
    import torch
ModuleNotFoundError: No module named 'torch'
"""


def timeline(*states: State, reason: str = "") -> tuple[Observation, ...]:
    """Return the passage through `states`, each left after its usual time; the last one has the reason."""
    at, seen = BEGIN, []
    for state in states:
        seen.append(Observation(state, at, reason if state is states[-1] else ""))
        at += round(STAYS[WAY.index(state)] * SECOND) if state in WAY[:-1] else 0
    return tuple(seen)


ACCURACY = MetricFacts(Source.TENSORFLOW, "accuracy", 0.9683, 12, (0.31, 0.55, 0.7, 0.8, 0.88, 0.93, 0.95, 0.9683))
LOSS = MetricFacts(Source.TENSORFLOW, "loss", 0.1204, 12, (2.1, 1.2, 0.8, 0.5, 0.3, 0.2, 0.15, 0.1204))

GATE_ACCURACY = Gate(Source.TENSORFLOW, "accuracy", Range(0.9, None), "max")
GATE_LOSS = Gate(Source.TENSORFLOW, "loss", Range(None, 0.5), "min")
GATE_F1 = Gate(Source.CUSTOM, "f1", Range(0.8, 1.0), "/f1/macro")


def result(gate: Gate, verdict: Verdict, value: float | None = None, reason: str = "", *found: str) -> GateResult:
    return GateResult(gate, verdict, value, reason, found)


PASSED = result(GATE_ACCURACY, Verdict.PASSED, 0.96, "max of 8 points is 0.9683, rounded down to 0.96: inside 0.9..")
MISSED = result(GATE_ACCURACY, Verdict.FAILED, 0.71, "max of 8 points is 0.7134, rounded down to 0.71: outside 0.9..")
LOSS_PASSED = result(GATE_LOSS, Verdict.PASSED, 0.12, "min of 8 points is 0.1204, rounded down to 0.12: inside ..0.5")
ABSENT = result(
    GATE_F1, Verdict.FAILED, None, "`/f1/macro` is not in gradient-model-metadata.json", "/f1/mean", "/accuracy"
)


def waiting(*gates: Gate) -> tuple[GateResult, ...]:
    return tuple(result(gate, Verdict.WAITING, None, "the experiment is running") for gate in gates)


def experiment(state: State, **changes: object) -> ExperimentFacts:
    """Return `train / fit` in `state`, with everything that is usual for it."""
    way = WAY[: WAY.index(state) + 1] if state in WAY else (*WAY[:-1], state)
    usual = ExperimentFacts(
        public_id="01hx3v9k2m7qd",
        workflow="train",
        step="fit",
        state=state,
        timeline=timeline(*way),
        metrics_read=True,
        command="python train.py --epochs 12",
        machine="small (2 CPUs, 4096 MB)",
        environment="/srv/environments/digits",
        memory_mb=4096,
        details_url="https://ci.example.org/e/01hx3v9k2m7qd?token=T0ken",
    )
    return replace(usual, **changes)  # type: ignore[arg-type]


WAITING = experiment(State.PENDING, reason="waiting for 2 CPUs", gates=waiting(GATE_ACCURACY), metrics_read=False)
RUNNING = experiment(
    State.RUNNING,
    gates=waiting(GATE_ACCURACY),
    metrics=(replace(ACCURACY, last=0.93, step=6, values=ACCURACY.values[:6]), replace(LOSS, last=0.2, step=6)),
    metrics_read=False,
    log_tail="epoch 5: loss 0.3\nepoch 6: loss 0.2\n",
)
SUCCEEDED = experiment(
    State.STOPPED,
    exit_code=0,
    peak_memory_mb=412,
    gates=(PASSED, LOSS_PASSED),
    metrics=(ACCURACY, LOSS),
    log_tail="epoch 11: loss 0.15\nepoch 12: loss 0.1204\n",
    report_md=MARKDOWN_REPORT,
)
BELOW = replace(SUCCEEDED, gates=(MISSED, LOSS_PASSED), metrics=(replace(ACCURACY, last=0.7134), LOSS), report_md=None)
UNGATED = replace(SUCCEEDED, gates=(), public_id="01hx3v9k2m7qe", workflow="bench", step="speed", report_md=None)
SILENT = replace(UNGATED, metrics=(), log_tail="")
NAN = PlaceFacts(
    "worker-0", "train.py", 12, "ValueError: the loss is nan", "check", 'raise ValueError(f"the loss is {loss}")'
)
BROKEN = experiment(
    State.FAILED,
    exit_code=1,
    peak_memory_mb=3900,
    gates=(result(GATE_ACCURACY, Verdict.NOT_EVALUATED, None, "not evaluated: the experiment failed: exit code 1"),),
    metrics=(replace(LOSS, last=float("nan"), step=2, values=(2.301, float("nan"))),),
    log_tail=TRACEBACK,
    places=(NAN,),
)
NO_MODULE = experiment(
    State.FAILED,
    exit_code=1,
    gates=BROKEN.gates,
    log_tail=IMPORTS,
    places=(
        PlaceFacts(
            "worker-0", "train.py", 3, "ModuleNotFoundError: No module named 'torch'", "<module>", "import torch"
        ),
    ),
)
PLATFORM = experiment(
    State.ERROR,
    timeline=timeline(State.CREATED, State.PENDING, State.PROVISIONING, State.ERROR),
    reason="the commit could not be fetched: the disk is full",
    gates=(result(GATE_ACCURACY, Verdict.NOT_EVALUATED, None, "not evaluated: the experiment ended with an error"),),
)
RETRYING = replace(
    PLATFORM,
    timeline=timeline(*WAY[:6], State.ERROR),
    reason="its supervisor died when the machine was restarted; all its processes were ended",
    metrics_read=False,
    retry_at=BEGIN + round(sum(STAYS[:6]) * SECOND) + 30 * SECOND,
)
RETRIED = replace(WAITING, attempt=2, retry=1)
GIVEN_UP = replace(RETRYING, attempt=3, retry=2, retry_at=None, metrics_read=True)
SUPERSEDED = experiment(
    State.CANCELLED,
    timeline=timeline(*WAY[:6], State.CANCELLED),
    reason="superseded by 9fceb02",
    gates=(result(GATE_ACCURACY, Verdict.CANCELLED, None, "the experiment was cancelled: superseded by 9fceb02"),),
)
TIMED_OUT = experiment(
    State.FAILED, exit_code=143, is_timed_out=True, gates=BROKEN.gates, log_tail="epoch 1\nepoch 2\n"
)
UNLAUNCHED = experiment(
    State.CREATED, not_launchable="`experiment.run_multi_node` is launched by a later version", gates=BROKEN.gates
)

SINGLE = replace(SUCCEEDED, gates=(PASSED,), metrics=(ACCURACY,), report_md=None)
ABSENT_METRIC = replace(SUCCEEDED, gates=(ABSENT,), report_md=None)
HIDING = replace(
    SUCCEEDED,
    gates=(PASSED, replace(LOSS_PASSED, gate=replace(GATE_LOSS, comment_on_pr=False), verdict=Verdict.FAILED)),
)
PUSHED = replace(
    SUCCEEDED,
    gates=(
        PASSED,
        result(replace(GATE_LOSS, only_pulls=True), Verdict.NOT_ON_PUSH, None, "evaluated on pull requests only"),
    ),
    report_md=None,
)
PICTURED = replace(SUCCEEDED, picture_url="https://ci.example.org/p/5f0c9a7e.png", report_md=None)
RUNNING_TOO = replace(RUNNING, public_id="01hx3v9k2m7qg", workflow="large", step="fit")
OVER_LIMIT = experiment(
    State.FAILED,
    peak_memory_mb=4102,
    exit_code=137,
    reason="4,102 MB of memory used, more than the 4,096 MB of `small`",
    gates=BROKEN.gates,
    log_tail="loading the data\n",
)
MISSING_DATA = experiment(
    State.FAILED,
    timeline=timeline(State.CREATED, State.PENDING, State.PROVISIONING, State.FAILED),
    reason="the working directory `src` is not in the commit",
)
KILLED = experiment(
    State.FAILED,
    attempt=2,
    exit_code=137,
    peak_memory_mb=4090,
    isolation="none: the machine has no bubblewrap, and its owner allows trusted code to run without",
    caveats=("`events.out.1` could not be read to its end",),
    gates=BROKEN.gates,
    log_tail="loading the data\r 10%\r 55%\nKilled\n",
)


def commit(*experiments: ExperimentFacts, skipped: str | None = None, **changes: object) -> CommitFacts:
    """Return the commit whose workflows hold `experiments`, one each."""
    usual = CommitFacts(
        full_name="octo/digits",
        sha=SHA,
        title="Halve the learning rate",
        config_path=".ps_project/config.yaml",
        runs=tuple(RunFacts(one.workflow, (one,), skipped) for one in experiments),
    )
    return replace(usual, **changes)  # type: ignore[arg-type]


def problem(severity: str, message: str, hint: str, line: int) -> Problem:
    return Problem(severity, message, hint, ".ps_project/config.yaml", line, 9)  # type: ignore[arg-type]


ERRORS = (
    problem("error", "unknown key `comand`", "Did you mean `command`?", 7),
    problem("error", "`target` is missing", "Write a range such as `0.9..`.", 12),
)
WARNINGS = (problem("warning", "`aggregation` is an old spelling", "Write `aggregate`.", 14),)

EARLIER = (
    EarlierCommit("9fceb02d0ae598e95dc970b74767f19372d61af8", "Try a wider layer", "failure", "fit failed"),
    EarlierCommit("1f7a7a472abf3dd9643fd615f6da379c4acb3e3a", "Start", "cancelled", "fit was cancelled"),
)


def pull(head: CommitFacts, *earlier: EarlierCommit, has_comment: bool = False) -> PullFacts:
    return PullFacts(7, head, earlier, has_comment)
