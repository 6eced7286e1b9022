"""Why a command failed, from its log and its exit code."""

import pytest

from bot.core.report.causes import (
    LAST_LINES,
    LINES,
    LONGEST,
    annotation_title,
    cause,
    exit_meaning,
    known,
    last_words,
    limit,
)
from tests.core.report.examples import TRACEBACK


def test_the_traceback_is_found_in_the_log() -> None:
    words = last_words(TRACEBACK + "Error in atexit\n")
    assert words.startswith("Traceback (most recent call last):\n")
    assert words.endswith("ValueError: the loss is nan")
    assert cause(1, TRACEBACK) == "the loss is NaN"


def test_of_a_chain_the_last_one_counts() -> None:
    chain = TRACEBACK + "\nDuring handling of the above exception, another exception occurred:\n\n"
    chain += 'Traceback (most recent call last):\n  File "x.py", line 1, in f\nKeyError: 3\n'
    assert cause(1, chain) == "`KeyError: 3`"


def test_what_belongs_to_the_exception_is_kept() -> None:
    log = "Traceback (most recent call last):\n  File x\nRuntimeError: bad state:\n\tMissing key: w\nbye\n"
    assert last_words(log).endswith("RuntimeError: bad state:\n\tMissing key: w")


def test_a_launcher_s_prefix_is_taken_off() -> None:
    log = "\n".join(f"[rank0]: {row}" for row in TRACEBACK.split("\n"))
    assert cause(1, log) == "the loss is NaN"


def test_a_long_traceback_keeps_both_ends() -> None:
    log = "Traceback (most recent call last):\n" + "  File x\n" * 500 + "RecursionError: too deep\n"
    rows = last_words(log).split("\n")
    assert len(rows) == LINES
    assert (rows[0], rows[-1]) == ("Traceback (most recent call last):", "RecursionError: too deep")


def test_without_a_traceback_the_last_lines_must_do() -> None:
    words = last_words("".join(f"line {n}\n\n" for n in range(20)))
    assert words.split("\n") == [f"line {n}" for n in range(20 - LAST_LINES, 20)]
    assert cause(1, words) == ""


def test_a_traceback_that_was_cut_off_is_shown_as_far_as_it_goes() -> None:
    log = "Traceback (most recent call last):\n  File x"
    assert last_words(log) == log
    assert cause(1, log) == ""


def test_silence_says_nothing() -> None:
    assert last_words("") == last_words("\n \n") == ""


def test_exit_codes_that_mean_something() -> None:
    assert "memory" in exit_meaning(137)
    assert exit_meaning(127) == "a command was not found"
    assert exit_meaning(1) == exit_meaning(None) == ""


# What is known by name


@pytest.mark.parametrize(
    ("exception", "words"),
    [
        ("torch.cuda.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.", "CUDA out of memory"),
        ("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 20.00 MiB.", "CUDA out of memory"),
        ("RuntimeError: CUDA error: out of memory", "CUDA out of memory"),
        ("MemoryError", "out of memory (Python)"),
        ("numpy.core._exceptions._ArrayMemoryError: Unable to allocate 7.45 GiB", "out of memory (Python)"),
        (
            "tensorflow.python.framework.errors_impl.ResourceExhaustedError: OOM when allocating tensor",
            "out of memory (TensorFlow)",
        ),
        ("ModuleNotFoundError: No module named 'torch'", "no module named `torch`"),
        ("ModuleNotFoundError: No module named 'a.b'; 'a' is not a package", "no module named `a.b`"),
        ("OSError: [Errno 28] No space left on device: '/artifacts/x'", "no space left on device"),
        (
            "RuntimeError: DataLoader worker (pid 47) is killed by signal: Bus error. It is possible that"
            " dataloader's workers are out of shared memory.",
            "too little shared memory (bus error)",
        ),
        (
            "RuntimeError: DataLoader worker (pid 47) is killed by signal: Killed.",
            "a DataLoader worker was killed (Killed)",
        ),
        ("torch.distributed.DistBackendError: NCCL error in: ../ProcessGroupNCCL.cpp:1691", "NCCL error"),
        ("RuntimeError: Found no NVIDIA driver on your system.", "no GPU that CUDA can use"),
        ("FloatingPointError: loss is NaN", "the loss is NaN"),
        ("FileNotFoundError: [Errno 2] No such file or directory: 'data/x.csv'", "no such file: `data/x.csv`"),
        ("PermissionError: [Errno 13] Permission denied: '/etc/x'", "permission denied: `/etc/x`"),
        ("OSError: [Errno 30] Read-only file system: '/data/mnist/x'", "read-only file system: `/data/mnist/x`"),
        ("KeyboardInterrupt", "interrupted (KeyboardInterrupt)"),
        ("AssertionError", "an assertion failed"),
        ("AssertionError: shapes differ", "an assertion failed: `shapes differ`"),
        (
            "json.decoder.JSONDecodeError: Expecting value: line 1 column 1 (char 0)",
            "malformed JSON: Expecting value: line 1 column 1 (char 0)",
        ),
        ("yaml.scanner.ScannerError: while scanning a simple key", "malformed YAML: while scanning a simple key"),
        ("Fatal Python error: Segmentation fault", "segmentation fault"),
        ("Fatal Python error: Aborted", "fatal Python error: Aborted"),
    ],
)
def test_known_exceptions_have_words_of_ours(exception: str, words: str) -> None:
    assert known(exception) == words


@pytest.mark.parametrize(
    "exception",
    ["ValueError: x", "ValueError: glossary is nan", "SyntaxError: invalid syntax", "KeyError: 'MemoryError'", ""],
)
def test_everything_else_speaks_for_itself(exception: str) -> None:
    assert known(exception) == ""


def test_the_general_form_quotes_the_exception() -> None:
    log = "Traceback (most recent call last):\n  File x\nKeyError: 'the `lr`'\n"
    assert cause(1, log) == "`KeyError: 'the 'lr''`"
    assert annotation_title("KeyError: 'x'") == "KeyError"
    assert annotation_title("ModuleNotFoundError: No module named 'torch'") == "No module named torch"


@pytest.mark.parametrize(
    "exception", ["ValueError: " + "x" * 5_000, "ModuleNotFoundError: No module named '" + "x" * 5_000]
)
def test_a_cause_fits_into_a_title_and_its_quotation_ends(exception: str) -> None:
    words = cause(1, "", exception)
    assert len(words) <= LONGEST
    assert words.count("`") == 2
    assert words.endswith("…`")


def test_what_a_shell_says_last_is_a_reason_too() -> None:
    assert cause(127, "/bin/sh: 1: no-such-program: not found\n") == "command not found: `no-such-program`"
    assert cause(127, "run.sh: line 3: mpirum: command not found\n") == "command not found: `mpirum`"
    assert cause(126, "/bin/sh: 1: ./train.sh: Permission denied\n") == "permission denied: `./train.sh`"
    missing = "/usr/bin/python3: can't open file '/workspace/trian.py': [Errno 2] No such file or directory\n"
    assert cause(2, missing) == "no such file: `/workspace/trian.py`"
    assert cause(1, "/usr/bin/python3: No module named pytest\n") == "no module named `pytest`"
    assert cause(1, "done\n") == cause(None, "") == ""


def test_who_goes_on_after_an_exception_has_handled_it() -> None:
    assert cause(1, TRACEBACK + "wandb: the run's summary\n" * 40) == "the loss is NaN"
    assert cause(1, TRACEBACK + "epoch\n" * 100) == ""
    assert cause(3, TRACEBACK) == "the loss is NaN"
    assert cause(3, TRACEBACK + "epoch\n" * 10) == ""


def test_a_command_that_was_killed_had_no_time_for_last_words() -> None:
    assert cause(137, TRACEBACK) == "killed (SIGKILL): most often because memory ran out"
    assert cause(139, TRACEBACK) == "segmentation fault (SIGSEGV)"
    assert cause(139, "", "Fatal Python error: Segmentation fault") == "segmentation fault"


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("4,102 MB of memory used, more than the 4,096 MB of `small`", "memory limit 4 GB"),
        ("out of memory: killed by the kernel, for it needed more than the 1,536 MB of `gpu`", "memory limit 1.5 GB"),
        ("20,500 MB written, more than the 20,480 MB of `small`", "disk limit 20 GB"),
        ("more than the 512 processes and threads of `small`", "limit of 512 processes and threads"),
        ("the disk of this machine is full", "the disk of the machine is full"),
        ("exit code 1", ""),
        ("timed out after 10m", ""),
        ("", ""),
    ],
)
def test_limits_are_told_as_people_set_them(reason: str, words: str) -> None:
    assert limit(reason) == words
