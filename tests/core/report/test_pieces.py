"""Tasks, images, ports, progress and peaks in an experiment's check."""

from dataclasses import replace

from bot.core.report import CheckView, ExperimentFacts, ImageFacts, MetricFacts, TaskFacts, desired_checks
from bot.core.series import Source
from bot.core.states import State
from tests.core.report import examples as e
from tests.core.report import scenes as s
from tests.core.report.words import RENDERER


def check(facts: ExperimentFacts) -> CheckView:
    return desired_checks(e.commit(facts), RENDERER)[1]


def first_line(facts: ExperimentFacts) -> str:
    return check(facts).summary.split("\n")[0]


# Several tasks


def test_the_task_that_failed_is_named_and_its_log_comes_first() -> None:
    view = check(s.DEAD_SERVER)
    assert view.title == "parameter-server-0: no such file: /storage/initial.npz at server.py:19"
    assert "weights = load(path)" in view.summary
    assert view.text is not None
    assert view.text.index("of parameter-server-0") < view.text.index("of worker-0")


def test_one_task_is_no_table() -> None:
    one = replace(e.SUCCEEDED, tasks=(TaskFacts("worker-0", State.STOPPED, 0),))
    assert check(one).digest() == check(e.SUCCEEDED).digest()


def test_of_many_tasks_the_failed_ones_are_listed_and_the_others_counted() -> None:
    tasks = [TaskFacts(f"worker-{n}", State.FAILED if n == 90 else State.STOPPED, 0) for n in range(100)]
    summary = check(s.cluster(State.FAILED, *tasks)).summary
    assert "| `worker-90` | ❌" in summary
    assert "And 68 more: 68 ok." in summary


def test_memory_that_a_running_task_takes_is_not_told() -> None:
    one, two = (
        s.cluster(
            State.RUNNING, TaskFacts("worker-0", State.RUNNING, peak_memory_mb=mb), s.WORKERS[1], metrics_read=False
        )
        for mb in (5, 6)
    )
    assert check(one).digest() == check(two).digest()


# Provisioning


def test_progress_is_shown_but_is_no_headline() -> None:
    one, two = (check(replace(s.DOWNLOADING, progress=f"mnist: {mb} of 512 MB")) for mb in (120, 121))
    assert "120 of 512 MB" in one.summary
    assert (one.title, one.headline) == (two.title, two.headline)


def test_progress_of_what_is_past_is_not_shown() -> None:
    assert "of 512 MB" not in check(replace(e.RUNNING, progress="mnist: 512 of 512 MB")).summary


# The image


def test_an_image_that_was_not_used_is_the_first_line() -> None:
    assert first_line(s.NO_IMAGE).startswith(
        "⚠️ The image `tensorflow/tensorflow:2.16.1` was not used: this machine has"
    )
    assert first_line(s.NO_IMAGE).endswith("; the command ran in `/srv/environments/digits`.")
    assert first_line(replace(s.NO_IMAGE, environment=None)).endswith("; the command ran in the system's `python3`.")


def test_before_it_runs_the_line_does_not_say_that_it_ran() -> None:
    assert "is not used" in first_line(replace(s.DOWNLOADING, image=s.UNUSED))
    assert "the command runs in" in first_line(replace(s.DOWNLOADING, image=s.UNUSED))


def test_what_never_ran_ran_nowhere() -> None:
    assert "The image" not in check(replace(e.PLATFORM, image=s.UNUSED)).summary


def test_a_matrix_says_it_in_its_first_line_too() -> None:
    view = desired_checks(s.matrix(*(replace(one, image=s.UNUSED) for one in s.CELLS)), RENDERER)[1]
    assert view.summary.startswith("⚠️ The image `tensorflow/tensorflow:2.16.1` was not used")


def test_an_image_that_was_used_stands_with_its_digest_where_it_ran() -> None:
    text = check(s.IMAGE).text or ""
    assert "- Image: `tensorflow/tensorflow:2.16.1-gpu` (`sha256:" in text
    assert "Environment" not in text


# Ports, peaks, models


def test_ports_are_open_while_it_runs_only() -> None:
    assert "[port 6006 (TensorBoard)](" in check(s.OPEN_PORTS).summary
    assert "port 6006" not in check(replace(e.SUCCEEDED, ports=s.OPEN_PORTS.ports)).summary


def test_peaks_of_what_nobody_knows_are_left_out() -> None:
    peaks = {"cpuPercentage": 99.6, "gpuTemp": float("nan"), "evil": 1.0}
    assert "Peaks: CPU 100 %\n" in f"{check(replace(e.SINGLE, peak_memory_mb=None, peaks=peaks)).summary}\n"


def test_peaks_that_still_move_are_not_told() -> None:
    one, two = (check(replace(e.RUNNING, peaks={"cpuPercentage": value})) for value in (10.0, 90.0))
    assert one.digest() == two.digest()


def test_what_was_measured_of_the_machine_is_no_metric_but_what_was_logged_is() -> None:
    metrics = tuple(MetricFacts(source, "cpu", 1.0, 1) for source in (Source.SYSTEM, Source.LOGGED))
    summary = check(replace(e.UNGATED, metrics=metrics)).summary
    assert "`logged:cpu`" in summary
    assert "system:cpu" not in summary


def test_an_image_without_a_reason_still_reads_well() -> None:
    assert first_line(replace(e.SINGLE, image=ImageFacts("x", used=False))).startswith("⚠️ The image `x` was not used; ")
