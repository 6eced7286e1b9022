"""Situations of experiments that are more than one command: several tasks, matrices, searches; and what they left."""

from dataclasses import replace

from bot.core.gates import Gate, Range, Verdict
from bot.core.report import (
    ArtifactFacts,
    CommitFacts,
    ExperimentFacts,
    ImageFacts,
    MetricFacts,
    ModelFacts,
    PlaceFacts,
    PortFacts,
    RunFacts,
    SearchFacts,
    TaskFacts,
)
from bot.core.search import Goal
from bot.core.series import Source
from bot.core.states import MINUTE, SECOND, State
from bot.core.trials import Trial, TrialState
from tests.core.report import examples as e

REFUSED = """\
listening on 127.0.0.1:40117
Traceback (most recent call last):
  File "/workspace/server.py", line 19, in serve
    weights = load(path)
FileNotFoundError: [Errno 2] No such file or directory: '/storage/initial.npz'
"""

# Several tasks


def cluster(state: State, *tasks: TaskFacts, **changes: object) -> ExperimentFacts:
    """Return `cluster / train`, with `tasks` as they stand."""
    usual = {"workflow": "cluster", "step": "train", "command": "python worker.py --steps 400", "tasks": tasks}
    return e.experiment(state, **{**usual, **changes})


WORKERS = (
    TaskFacts("worker-0", State.STOPPED, 0, 311, log_tail="step 400: loss 0.12\n"),
    TaskFacts("worker-1", State.STOPPED, 0, 309, log_tail="step 400: loss 0.13\n"),
)
SERVER = TaskFacts("parameter-server-0", State.STOPPED, None, 120, reason="stopped when the workers were done")
CLUSTER = cluster(State.STOPPED, *WORKERS, SERVER, exit_code=0, metrics=(e.LOSS,))
CLUSTER_LIVE = cluster(
    State.RUNNING, *(replace(task, state=State.RUNNING, exit_code=None, reason="") for task in (*WORKERS, SERVER))
)
DEAD_SERVER = cluster(
    State.FAILED,
    *(replace(task, state=State.CANCELLED, exit_code=None, reason="stopped with the others") for task in WORKERS),
    replace(SERVER, state=State.FAILED, exit_code=1, reason="", log_tail=REFUSED),
    exit_code=1,
    log_tail="waiting for 127.0.0.1:40117\n",
    gates=e.BROKEN.gates,
    places=(
        PlaceFacts(
            "parameter-server-0",
            "server.py",
            19,
            "FileNotFoundError: [Errno 2] No such file or directory: '/storage/initial.npz'",
            "serve",
            "weights = load(path)",
        ),
    ),
)
HOSTS = cluster(
    State.STOPPED,
    *(
        TaskFacts(name, State.STOPPED, 0, 205, node=name)
        for name in ("master-0", "worker-0", "worker-1", "worker-2", "worker-3")
    ),
    step="reduce",
    command="mpirun --hostfile /generated/hostfile -np 4 python train.py",
)

# A matrix

ACCURACY = Gate(Source.TENSORFLOW, "accuracy", Range(0.9, None), "max")
VALUES = {"lr=0.1, units=32": 0.93, "lr=0.1, units=64": 0.91, "lr=0.01, units=32": 0.955, "lr=0.01, units=64": 0.968}


def cell(variant: str, accuracy: float, number: int = 0, wanted: Gate = ACCURACY) -> ExperimentFacts:
    """Return a cell that ended with this accuracy."""
    short = int(accuracy * 100) / 100
    is_inside = wanted.target.contains(short)
    verdict = Verdict.PASSED if is_inside else Verdict.FAILED
    told = f"max of 8 points is {accuracy}, rounded down to {short}: {'inside' if is_inside else 'outside'} 0.9.."
    return replace(
        e.SUCCEEDED,
        public_id=f"01hx3v9k2m7{number:03}",
        variant=variant,
        gates=(e.result(wanted, verdict, short, told),),
        metrics=(replace(e.ACCURACY, last=accuracy), e.LOSS),
        report_md=None,
        variables=dict(part.split("=") for part in variant.split(", ")),
    )


def live(one: ExperimentFacts, state: State) -> ExperimentFacts:
    """Return the cell as it was when it was only in `state`."""
    way = e.experiment(state).timeline
    return replace(one, state=state, timeline=way, gates=e.waiting(ACCURACY), metrics_read=False, metrics=())


def matrix(*cells: ExperimentFacts, skipped: str | None = None) -> CommitFacts:
    return e.commit(runs=(RunFacts("train", cells, skipped),))


CELLS = tuple(cell(variant, accuracy, n) for n, (variant, accuracy) in enumerate(VALUES.items()))
BROKEN_CELL = replace(e.BROKEN, variant="lr=0.1, units=32", public_id="01hx3v9k2m7001", variables={"lr": "0.1"})
UNTRIED = tuple(live(one, State.CREATED) for one in CELLS)
GOOD_MATRIX = matrix(*CELLS)
BAD_MATRIX = matrix(BROKEN_CELL, cell("lr=0.1, units=64", 0.7134, 1), *CELLS[2:])
LIVE_MATRIX = matrix(CELLS[0], live(CELLS[1], State.RUNNING), *(live(one, State.PENDING) for one in CELLS[2:]))
WIDE_MATRIX = matrix(
    *(
        replace(BROKEN_CELL, variant=f"seed={n}") if n % 40 == 9 else cell(f"seed={n}", 0.9 + n / 4000, n)
        for n in range(256)
    )
)
EACH_MATRIX = matrix(*(replace(one, reports_each=True) for one in CELLS[:2]))

# A search

GATE_LOSS = Gate(Source.CUSTOM, "loss", Range(None, 0.05), "/loss")


def trial(number: int, value: float | None, state: TrialState = TrialState.COMPLETE) -> Trial:
    """Return the trial that began two minutes after the one before it and took a minute and a half."""
    began = e.BEGIN + number * 2 * MINUTE
    params = {"lr": 0.3 / (number + 3), "units": (32, 64)[number % 2], "optimizer": "adam"}
    return Trial(number, params, state, value, f"worker-{number % 4}", began, began + 90 * SECOND)


def losses(count: int) -> tuple[Trial, ...]:
    """Return trials that get better in waves: every sixth fails, others are pruned."""
    found = []
    for n in range(count):
        state = TrialState.FAILED if n % 6 == 4 else TrialState.PRUNED if n % 6 == 5 else TrialState.COMPLETE
        found.append(trial(n, None if state is TrialState.FAILED else round(0.5 / (1 + n * 7 % 16), 4), state))
    return tuple(found)


def search(state: State, trials: tuple[Trial, ...], **changes: object) -> ExperimentFacts:
    """Return `tune / search` of 30 trials with these by now."""
    asked = SearchFacts(Goal.MINIMIZE, "custom:/loss", 30, trials)
    usual = {"workflow": "tune", "step": "search", "command": "python train.py --lr {lr} --units {units}"}
    return e.experiment(state, **{**usual, "search": asked, **changes})


SEARCHED = search(
    State.STOPPED,
    losses(30),
    exit_code=0,
    picture_url="https://ci.example.org/p/5f0c9a7e.png",
    metrics=(MetricFacts(Source.CUSTOM, "loss", 0.03125, None),),
    gates=(e.result(GATE_LOSS, Verdict.PASSED, 0.03, "`/loss` is 0.03125, rounded down to 0.03: inside ..0.05"),),
)
SEARCHING = search(State.RUNNING, losses(11), gates=e.waiting(GATE_LOSS), metrics_read=False)
FRUITLESS = search(
    State.FAILED,
    tuple(trial(n, None, TrialState.FAILED) for n in range(30)),
    reason="all 30 trials failed; the first: exit code 1",
)

# How it ran, and what it left

DOWNLOADING = e.experiment(State.PROVISIONING, metrics_read=False, progress="mnist: 120 of 512 MB")
WALLS = ("memory 4 GB (cgroup v2)", "2 CPUs (cgroup v2)", "512 processes", "disk 20 GB (watched)", "network: outgoing")
PEAKS = {
    "cpuPercentage": 187.4,
    "memoryUsage": 432_013_312.0,
    "gpuUtilization": 93.0,
    "gpuMemoryUsed": 10_844_372_992.0,
}
UNUSED = ImageFacts("tensorflow/tensorflow:2.16.1", used=False, reason="this machine has no podman")
NO_IMAGE = replace(e.SINGLE, image=UNUSED, walls=WALLS)
IMAGE = replace(
    e.SINGLE,
    image=ImageFacts("tensorflow/tensorflow:2.16.1-gpu", used=True, digest="sha256:" + "5f0c9a7e" * 8),
    gpu="1 × NVIDIA A100-SXM4-40GB",
    walls=WALLS,
    peaks=PEAKS,
    model=ModelFacts("Tensorflow", 3, 12_582_912, "https://ci.example.org/e/01hx3v9k2m7qd/model?token=T0ken"),
    artifacts=ArtifactFacts(14, 35_651_584, "https://ci.example.org/e/01hx3v9k2m7qd/artifacts?token=T0ken"),
)
OPEN_PORTS = replace(
    e.RUNNING,
    ports=(
        PortFacts(6006, "https://ci.example.org/e/01hx3v9k2m7qd/ports/6006/?token=T0ken"),
        PortFacts(8080, "https://ci.example.org/e/01hx3v9k2m7qd/ports/8080/?token=T0ken"),
    ),
)
