"""Where in a commit an attempt failed: only lines that are really there, by whatever path the run saw them."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bot.backends.base import AttemptSpec, Code, Machine, Mode, TaskGroup, to_json
from bot.core.masking import Masker
from bot.core.states import State
from bot.store.schema import Attempt, Task
from bot.worker.places import places
from tests.backends.lab import commit, git

pytestmark = pytest.mark.service

FILES = {
    "train.py": "import data\n\n\ndata.load()\n",
    "src/data.py": "def load():\n    token = 'hunter22-hunter22'\n    raise ValueError(\n        'ü'\n    )\r\n\r\n",
    "big.py": "#" * (2 << 20) + "\nx\n",
}
NO_SECRETS = Masker(())
MACHINE = Machine("small", cpus=1, memory_mb=512)


@pytest.fixture(scope="module")
def code(tmp_path_factory: pytest.TempPathFactory) -> Code:
    """A commit with a link to a file, a link to a directory and a submodule."""
    directory = tmp_path_factory.mktemp("code")
    made = commit(directory, FILES, {"link.py": "train.py", "linked": "src"})
    work, bare = directory / "work", directory / "bare.git"
    tree = ["-C", str(work), f"--git-dir={bare}", f"--work-tree={work}"]
    git(*tree, "update-index", "--add", "--cacheinfo", f"160000,{made.sha},module")
    git(*tree, "-c", "user.name=x", "-c", "user.email=x@example.org", "commit", "--quiet", "-m", "Second")
    return replace(made, sha=git(*tree, "rev-parse", "HEAD").strip())


def spec(code: Code | None, **changes: Any) -> AttemptSpec:
    usual = AttemptSpec(
        id="run0-1",
        groups=(TaskGroup("worker", 2, "python3 train.py", MACHINE),),
        code=code,
        env={},
        timeout=60.0,
        run_dir="/srv/runs/run0/1",
        storage_dir="/srv/storage/7",
    )
    return replace(usual, **changes)


def attempt(of: AttemptSpec, state: State = State.FAILED, reason: str = "") -> Attempt:
    return Attempt(state=state, spec=to_json(of), reason=reason)


def task(index: int = 0, state: State = State.FAILED, exit_code: int | None = 1) -> Task:
    return Task(role="worker", index=index, state=state, exit_code=exit_code)


def log(*frames: tuple[str, int, str], exception: str = "ValueError: x") -> str:
    rows = [
        f'  File "{path}", line {line}, in f\n' + (f"    {source}\n" if source else "") for path, line, source in frames
    ]
    return f"Traceback (most recent call last):\n{''.join(rows)}{exception}\n"


def found(code: Code, *frames: tuple[str, int, str], **changes: Any) -> list[tuple[str, int]]:
    told = places(attempt(spec(code, **changes)), [(task(), log(*frames))], NO_SECRETS)
    return [(one["path"], one["line"]) for one in told]


def test_the_deepest_line_of_the_commit_is_the_place(code: Code) -> None:
    frames = (
        ("/workspace/train.py", 4, "data.load()"),
        ("/workspace/src/data.py", 3, "raise ValueError("),
        ("/usr/lib/python3.11/json/decoder.py", 355, "raise JSONDecodeError"),
    )
    [one] = places(attempt(spec(code)), [(task(), log(*frames))], NO_SECRETS)
    assert one == {
        "task": "worker-0",
        "path": "src/data.py",
        "line": 3,
        "exception": "ValueError: x",
        "function": "f",
        "source": "raise ValueError(",
    }


@pytest.mark.parametrize(
    ("frame", "changes", "expected"),
    [
        (("train.py", 4, "data.load()"), {}, "train.py"),
        (("data.py", 3, "raise ValueError("), {"workdir": "src"}, "src/data.py"),
        (("/srv/runs/run0/1/workspace/worker-0/train.py", 4, "data.load()"), {}, "train.py"),
        (("/workspace/src/data.py", 4, "'\u00fc'"), {}, "src/data.py"),
        (("/workspace/src/data.py", 4, "'?'"), {}, None),
        (("/workspace/train.py", 4, ""), {}, "train.py"),
        (("data.py", 3, "raise ValueError("), {}, None),
        (("/srv/runs/run0/1/workspace/worker-1/train.py", 4, "data.load()"), {}, None),
        (("/workspace/train.py", 4, "data.store()"), {}, None),
        (("/workspace/train.py", 5, ""), {}, None),
        (("/workspace/src/data.py", 6, ""), {}, "src/data.py"),
        (("/workspace/src/data.py", 7, ""), {}, None),
        (("/workspace/train.py", 0, ""), {}, None),
        (("/workspace/link.py", 4, "data.load()"), {}, None),
        (("/workspace/linked/data.py", 3, "raise ValueError("), {}, None),
        (("/workspace/module/train.py", 4, "data.load()"), {}, None),
        (("/workspace/module", 1, ""), {}, None),
        (("/workspace/src", 1, ""), {}, None),
        (("/workspace/big.py", 2, "x"), {}, None),
        (("/workspace/made-by-the-run.py", 1, "x"), {}, None),
    ],
)
def test_a_place_is_a_line_of_a_regular_file_of_that_commit(
    code: Code, frame: tuple[str, int, str], changes: dict[str, Any], expected: str | None
) -> None:
    assert found(code, frame, **changes) == ([] if expected is None else [(expected, frame[1])])


def test_a_frame_that_is_none_leaves_the_word_to_the_one_above_it(code: Code) -> None:
    assert found(code, ("/workspace/train.py", 4, "data.load()"), ("/workspace/module/x.py", 1, "x")) == [
        ("train.py", 4)
    ]


def test_a_run_sees_its_own_directory_without_the_links_on_the_way(code: Code, tmp_path: Path) -> None:
    (tmp_path / "real/run0/1").mkdir(parents=True)
    (tmp_path / "runs").symlink_to("real")
    seen = f"{tmp_path}/real/run0/1/workspace/worker-0/train.py"
    assert found(code, (seen, 4, "data.load()"), run_dir=f"{tmp_path}/runs/run0/1") == [("train.py", 4)]


def test_a_group_may_have_a_working_directory_of_its_own(code: Code) -> None:
    groups = (TaskGroup("worker", 1, "python3 data.py", MACHINE, workdir="src"),)
    assert found(code, ("data.py", 3, "raise ValueError("), groups=groups) == [("src/data.py", 3)]


def test_secrets_of_the_commit_are_masked_too(code: Code) -> None:
    masker = Masker(["hunter22-hunter22"])
    frame = ("/workspace/src/data.py", 2, "token = '***'")
    [one] = places(attempt(spec(code)), [(task(), log(frame))], masker)
    assert one["source"] == "token = '***'"


def test_only_tasks_that_failed_by_themselves_have_a_place(code: Code) -> None:
    words = log(("/workspace/train.py", 4, "data.load()"))
    tasks = [(task(1), words), (task(0, State.CANCELLED), words)]
    assert [one["task"] for one in places(attempt(spec(code)), tasks, NO_SECRETS)] == ["worker-1"]


def test_a_command_that_a_signal_killed_left_no_last_words(code: Code) -> None:
    words = log(("/workspace/train.py", 4, "data.load()"))
    assert places(attempt(spec(code)), [(task(exit_code=137), words)], NO_SECRETS) == []
    crash = (
        "Fatal Python error: Segmentation fault\n\nCurrent thread 0x1 (most recent call first):\n"
        '  File "/workspace/train.py", line 4 in <module>\n'
    )
    [one] = places(attempt(spec(code)), [(task(exit_code=139), crash)], NO_SECRETS)
    assert (one["line"], one["exception"]) == (4, "Fatal Python error: Segmentation fault")


def test_what_the_trials_of_a_search_print_is_in_the_logs_of_its_workers(code: Code) -> None:
    words = log(("/workspace/train.py", 4, "data.load()"))
    of = spec(code, mode=Mode.SEARCH)
    assert len(places(attempt(of), [(task(state=State.CANCELLED, exit_code=None), words)], NO_SECRETS)) == 1


@pytest.mark.parametrize("state", [State.STOPPED, State.ERROR, State.CANCELLED])
def test_what_did_not_fail_has_none(code: Code, state: State) -> None:
    words = log(("/workspace/train.py", 4, "data.load()"))
    assert places(attempt(spec(code), state), [(task(), words)], NO_SECRETS) == []


def test_another_workspace_is_not_this_commit(code: Code) -> None:
    assert places(attempt(spec(None)), [(task(), log(("/workspace/train.py", 4, "")))], NO_SECRETS) == []


def test_a_commit_that_was_swept_away_has_no_lines(code: Code) -> None:
    gone = replace(code, git_dir="/nowhere")
    assert found(gone, ("/workspace/train.py", 4, "data.load()")) == []


def test_fifty_files_are_looked_at_and_no_more(code: Code) -> None:
    others = [(f"/workspace/made-{n}.py", 1, "") for n in range(60)]
    assert found(code, ("/workspace/train.py", 4, "data.load()"), *others[:49]) == [("train.py", 4)]
    assert found(code, ("/workspace/train.py", 4, "data.load()"), *others) == []
