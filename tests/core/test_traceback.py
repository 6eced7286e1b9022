"""What a log's last traceback says, whoever printed it, and where it leads to."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.core.traceback import Frame, Traceback, in_repository, last_traceback, tracebacks

PLAIN = """\
epoch 1: loss 2.301
Traceback (most recent call last):
  File "/workspace/train.py", line 41, in <module>
    main()
  File "/usr/lib/python3.11/json/__init__.py", line 346, in loads
    return _default_decoder.decode(s)
  File "/workspace/data/load.py", line 12, in read
    raise ValueError(f"the loss is {loss}")
ValueError: the loss is nan
bye
"""


def found(log: str) -> Traceback:
    traceback = last_traceback(log)
    assert traceback is not None
    return traceback


def deepest(log: str) -> Frame:
    return found(log).frames[-1]


def test_a_traceback_has_its_frames_the_deepest_last() -> None:
    traceback = found(PLAIN)
    assert traceback.exception == "ValueError: the loss is nan"
    assert traceback.name == "ValueError"
    assert [(frame.path, frame.line) for frame in traceback.frames] == [
        ("/workspace/train.py", 41),
        ("/usr/lib/python3.11/json/__init__.py", 346),
        ("/workspace/data/load.py", 12),
    ]
    assert traceback.frames[-1] == Frame(
        "/workspace/data/load.py", 12, "read", 'raise ValueError(f"the loss is {loss}")'
    )
    assert traceback.rows[-1] == "ValueError: the loss is nan"


def test_a_log_without_a_traceback_has_none() -> None:
    assert last_traceback("") is None
    assert last_traceback('all is well\n  File "train.py", line 3\n') is None


@pytest.mark.parametrize(
    ("row", "name"),
    [
        ("torch.cuda.OutOfMemoryError: CUDA out of memory.", "OutOfMemoryError"),
        ("KeyboardInterrupt", "KeyboardInterrupt"),
        ("struct.error: unpack requires a buffer of 4 bytes", "error"),
        ("__main__.main.<locals>.Odd: x", "Odd"),
        ("ray.exceptions.RayTaskError(ValueError): ray::f()", "RayTaskError"),
        ("torch.multiprocessing.spawn.ProcessRaisedException: ", "ProcessRaisedException"),
    ],
)
def test_exceptions_have_many_names(row: str, name: str) -> None:
    assert found(f'Traceback (most recent call last):\n  File "a.py", line 1, in f\n{row}\n').name == name


# What stands before the rows


@pytest.mark.parametrize("prefix", ["[rank0]: ", "worker-1: ", "[1,0]<stderr>:", "(train pid=42, ip=10.0.0.1) "])
def test_a_launchers_prefix_is_taken_off(prefix: str) -> None:
    rows = PLAIN.rstrip().split("\n")
    assert found("\n".join(prefix + row for row in rows)) == found(PLAIN)


def test_a_time_before_every_row_goes_on() -> None:
    rows = enumerate(PLAIN.rstrip().split("\n"))
    assert found("\n".join(f"2026-07-02T12:03:{n:02}.{n:03}Z {row}" for n, row in rows)) == found(PLAIN)


def test_another_process_may_print_in_between() -> None:
    mixed = []
    for row in PLAIN.rstrip().split("\n"):
        mixed += [f"[rank0]: {row}", "[rank1]: epoch 7"]
    assert found("\n".join(mixed)).exception == "ValueError: the loss is nan"
    rows = PLAIN.split("\n")
    mixed = [*rows[:5], "INFO: a thread goes on", "step 12", *rows[5:]]
    assert found("\n".join(mixed)).exception == "ValueError: the loss is nan"


def test_a_traceback_that_was_cut_off_takes_nothing_for_its_end() -> None:
    log = PLAIN.partition("ValueError")[0] + "step\n" * 30 + "Epoch: 3\n"
    assert found(log).exception == ""


def test_a_progress_bar_on_the_headers_row_is_no_prefix() -> None:
    assert found(PLAIN.replace("Traceback", " 3%|▎  | 1/30 [00:00<00:10,  2.9it/s]Traceback")) == found(PLAIN)


def test_colours_and_markers_are_none_of_the_code() -> None:
    log = (
        "Traceback (most recent call last):\n"
        '  File \x1b[35m"/workspace/train.py"\x1b[0m, line \x1b[35m3\x1b[0m, in \x1b[35mstep\x1b[0m\n'
        "    loss = \x1b[31mmodel\x1b[0m\x1b[1;31m(batch)\x1b[0m\n"
        "           \x1b[31m~~~~~\x1b[0m\x1b[1;31m^^^^^^^\x1b[0m\n"
        "\x1b[1;35mTypeError\x1b[0m: \x1b[35mnot callable\x1b[0m\n"
    )
    assert deepest(log) == Frame("/workspace/train.py", 3, "step", "loss = model(batch)")
    assert found(log).exception == "TypeError: not callable"


def test_a_frame_whose_code_is_not_shown_has_none() -> None:
    log = """\
Traceback (most recent call last):
  File "train.py", line 3, in f
  File "<string>", line 1, in <module>
  [Previous line repeated 995 more times]
  File "<frozen importlib._bootstrap>", line 1178, in _find_and_load
RecursionError: maximum recursion depth exceeded
"""
    assert [frame.source for frame in found(log).frames][0::2] == ["", ""]
    assert found(log).exception == "RecursionError: maximum recursion depth exceeded"


# What is raised from what


DURING = """\
Traceback (most recent call last):
  File "/workspace/train.py", line 3, in f
    {}["a"]
KeyError: 'a'

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "/opt/env/lib/python3.11/site-packages/runner.py", line 5, in run
    raise Failed
runner.Failed: x
"""


def test_of_a_chain_the_last_one_counts_and_those_before_come_after_it() -> None:
    assert [one.exception for one in tracebacks(DURING)] == ["runner.Failed: x", "KeyError: 'a'"]


def test_what_was_printed_earlier_has_nothing_to_do_with_it() -> None:
    log = PLAIN + "epoch 2\n" + DURING.partition("During")[0]
    assert [one.exception for one in tracebacks(log)] == ["KeyError: 'a'"]


REMOTE = '''\
multiprocessing.pool.RemoteTraceback:
"""
Traceback (most recent call last):
  File "/usr/lib/python3.11/multiprocessing/pool.py", line 125, in worker
    result = (True, func(*args, **kwds))
  File "/workspace/prepare.py", line 2, in f
    raise ValueError("x")
ValueError: x
"""

The above exception was the direct cause of the following exception:

Traceback (most recent call last):
  File "/workspace/prepare.py", line 9, in <module>
    pool.map(f, [1])
  File "/usr/lib/python3.11/multiprocessing/pool.py", line 774, in get
    raise self._value
ValueError: x
'''


def test_what_a_pool_of_processes_hands_on_was_raised_elsewhere() -> None:
    assert [one.frames[-1].line for one in tracebacks(REMOTE)] == [2, 774]


def test_what_was_meant_to_explain_another_does_not_take_its_place() -> None:
    log = REMOTE.rstrip().removesuffix("ValueError: x") + "RuntimeError: no data\n"
    assert found(log).exception == "RuntimeError: no data"


def test_a_spawned_process_says_it_inside_of_the_exception() -> None:
    log = f"""\
Traceback (most recent call last):
  File "/workspace/train.py", line 20, in <module>
    mp.spawn(run, nprocs=2)
torch.multiprocessing.spawn.ProcessRaisedException:

-- Process 1 terminated with the following error:
{PLAIN}"""
    assert found(log) == found(PLAIN)


def test_a_data_loaders_worker_says_it_inside_of_the_exception() -> None:
    log = f"""\
Traceback (most recent call last):
  File "/workspace/train.py", line 20, in <module>
    for batch in loader:
ValueError: Caught ValueError in DataLoader worker process 0.
{PLAIN.replace("Traceback", "Original Traceback")}"""
    assert found(log) == found(PLAIN)


TORCHRUN = """\
E0702 12:03:05.123456 12 api.py:869] failed (exitcode: 1) local_rank: 0 (pid: 130) of binary: /usr/bin/python
Traceback (most recent call last):
  File "/usr/local/bin/torchrun", line 8, in <module>
    sys.exit(main())
torch.distributed.elastic.multiprocessing.errors.ChildFailedError:
============================================================
train.py FAILED
"""


def test_a_launcher_reports_a_death_that_has_a_reason_of_its_own() -> None:
    rank = "\n".join(f"[rank0]: {row}" for row in PLAIN.rstrip().split("\n"))
    assert found(f"{rank}\n{TORCHRUN}").exception == "ValueError: the loss is nan"
    assert found(TORCHRUN).name == "ChildFailedError"


def test_a_launcher_does_not_report_what_was_printed_long_before() -> None:
    log = PLAIN + "epoch\n" * 30 + TORCHRUN
    assert found(log).name == "ChildFailedError"


def test_a_group_of_exceptions_goes_on_to_those_in_it() -> None:
    log = """\
  + Exception Group Traceback (most recent call last):
  |   File "/workspace/train.py", line 18, in <module>
  |     asyncio.run(main())
  | ExceptionGroup: unhandled errors in a TaskGroup (1 sub-exception)
  +-+---------------- 1 ----------------
    | Traceback (most recent call last):
    |   File "/workspace/train.py", line 14, in bad
    |     raise ValueError(1)
    | ValueError: 1
    +------------------------------------
"""
    assert [(one.name, one.frames[-1].line) for one in tracebacks(log)] == [("ValueError", 14), ("ExceptionGroup", 18)]


@pytest.mark.parametrize("above", ["Exception ignored in: <function D.__del__ at 0x7f>", "--- Logging error ---"])
def test_what_ended_no_program_does_not_speak_for_it(above: str) -> None:
    log = f'{PLAIN}{above}\nTraceback (most recent call last):\n  File "x.py", line 1, in __del__\nTypeError: late\n'
    assert found(log) == found(PLAIN)


# What is no exception of a running program


def test_a_file_that_cannot_be_compiled_is_its_own_place() -> None:
    bare = """\
  File "/workspace/train.py", line 3
    x = = 1
        ^
SyntaxError: invalid syntax
"""
    assert deepest(bare) == Frame("/workspace/train.py", 3, "", "x = = 1")
    assert deepest("\n".join(f"[rank0]: {row}" for row in bare.split("\n"))) == deepest(bare)
    imported = f'Traceback (most recent call last):\n  File "main.py", line 1, in <module>\n    import train\n{bare}'
    assert deepest(imported) == deepest(bare)
    assert found(imported).exception == "SyntaxError: invalid syntax"


def test_python_itself_may_crash_and_say_where() -> None:
    log = """\
Fatal Python error: Segmentation fault

Current thread 0x00007f3a (most recent call first):
  File "/workspace/train.py", line 3 in step
  File "/workspace/train.py", line 6 in <module>

Extension modules: numpy (total: 1)
"""
    assert found(log).exception == "Fatal Python error: Segmentation fault"
    assert deepest(log) == Frame("/workspace/train.py", 3, "step")


# The repository


ROOTS = ("/workspace", "/srv/runs/01hx/1/workspace/worker-0")


@pytest.mark.parametrize(
    ("path", "workdir", "expected"),
    [
        ("/workspace/train.py", ".", "train.py"),
        ("/workspace/./src//train.py", ".", "src/train.py"),
        ("/workspace/train.py", "src", "train.py"),
        ("train.py", "src", "src/train.py"),
        ("./train.py", ".", "train.py"),
        ("/srv/runs/01hx/1/workspace/worker-0/a b/ü.py", ".", "a b/ü.py"),
    ],
)
def test_paths_are_those_of_the_repository(path: str, workdir: str, expected: str) -> None:
    assert in_repository(path, ROOTS, workdir) == expected


@pytest.mark.parametrize(
    "path",
    [
        "/usr/lib/python3.11/json/__init__.py",
        "/workspace2/train.py",
        "/workspace/../etc/passwd",
        "../train.py",
        "/workspace/src/../train.py",
        "<string>",
        "<frozen importlib._bootstrap>",
        "/workspace/.venv/lib/python3.11/site-packages/torch/nn.py",
        "site-packages/torch/nn.py",
        "C:train.py",
        "a\\b.py",
        "tr\ufffdin.py",
        "train\u202e.py",
        "tr\nain.py",
        "a" * 401,
    ],
)
def test_what_lies_elsewhere_or_might_is_none_of_it(path: str) -> None:
    assert in_repository(path, ROOTS) is None


def test_a_working_directory_elsewhere_has_no_relative_paths() -> None:
    assert in_repository("passwd", ROOTS, "/etc") is None
    assert in_repository("passwd", ROOTS, "../..") is None


# Hostile logs

PIECES = [
    "Traceback (most recent call last):",
    '  File "/workspace/a.py", line 1, in f',
    '  File "a.py", line 99999999999999',
    "    code",
    "ValueError: x",
    "",
    "During handling of the above exception, another exception occurred:",
    "Fatal Python error: x",
    "Current thread 0x1 (most recent call first):",
    "  + Exception Group Traceback (most recent call last):",
    "  +-+---------------- 1 ----------------",
    "SyntaxError: x",
    "[rank0]: ",
    "12:00:00 ",
]


@given(st.lists(st.sampled_from(PIECES) | st.text(max_size=20), max_size=60), st.sampled_from(["\n", "", "\r\n"]))
@settings(deadline=None, max_examples=200)
def test_no_log_is_too_odd(pieces: list[str], between: str) -> None:
    for one in tracebacks(between.join(pieces)):
        assert all(frame.line < 10**9 for frame in one.frames)


@pytest.mark.parametrize("piece", [*(f"{one}\n" for one in PIECES), "1:", '  File "', "a.", "\n", " ~^", "1-1-1 "])
def test_no_log_takes_long(piece: str) -> None:
    """The test's own time limit would end it."""
    assert len(tracebacks(piece * (20_000_000 // len(piece)))) <= 64
