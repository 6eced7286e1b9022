"""A push is understood as the ancestor's client means it; everything else is refused with a sentence."""

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, Summary, generate_latest

from bot.sidecar.exposition import LONGEST_LINE, MOST_LINES, Push, parse
from bot.sidecar.names import Refused

PATH = "/metrics/job/run7-1/label_metrics_experiment_handle/run7-1/name/loss/step/3"
LABELS = ["label_metrics_experiment_handle", "pod", "step"]


def test_what_add_metrics_sends() -> None:
    registry = CollectorRegistry()
    Gauge("loss", "", LABELS, registry=registry).labels("run7-1", "host", 3).set(0.25)
    assert parse(PATH, generate_latest(registry)) == Push("run7-1", 3, {"loss": 0.25})


@pytest.mark.parametrize("path", ["/metrics/job/a", "/metrics/job/a/step/None", "/metrics/job/a/step@base64/="])
def test_a_push_without_a_step(path: str) -> None:
    assert parse(path, b"a 1\n").step is None


def test_values_with_a_slash_come_in_base64() -> None:
    assert parse("/metrics/job@base64/YS9i/step/1", b"a 1\n").workload == "a/b"
    assert parse("/metrics/job@base64/YS9iYw==/step/1", b"a 1\n").workload == "a/bc"
    assert parse("/metrics/job/a%2Eb+c", b"a 1\n").workload == "a.b c"


def test_of_a_summary_and_a_histogram_count_and_sum_are_kept_of_a_counter_the_total() -> None:
    registry = CollectorRegistry()
    Counter("steps", "", registry=registry).inc(5)
    Summary("time", "", registry=registry).observe(2)
    Histogram("size", "", registry=registry).observe(7)
    Info("build", "", registry=registry).info({"version": "1"})
    values = parse(PATH, generate_latest(registry)).values
    assert values == {"steps_total": 5, "time_count": 1, "time_sum": 2, "size_count": 1, "size_sum": 7}


def test_a_gauge_may_be_called_created() -> None:
    assert parse(PATH, b"# TYPE files_created gauge\nfiles_created 3\n").values == {"files_created": 3}


@pytest.mark.parametrize(("text", "value"), [("+Inf", float("inf")), ("-Inf", float("-inf")), ("1e3", 1000.0)])
def test_values_that_are_not_finite_are_kept(text: str, value: float) -> None:
    assert parse(PATH, f"a {text}\n".encode()).values == {"a": value}


def test_a_name_that_comes_twice_has_its_last_value() -> None:
    assert parse(PATH, b"a 1\na 2\n").values == {"a": 2}


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("/", "there is nothing but"),
        ("/metrics/../job/a", "there is nothing but"),
        ("/metrics/job", "pairs of label and value"),
        ("/metrics/job/a/step", "pairs of label and value"),
        ("/metrics/job/a" + "/b/c" * 50, "pairs of label and value"),
        ("/metrics/job/%FF", "cannot be read"),
        ("/metrics/job@base64/_w", "cannot be read"),
        ("/metrics/job@base64/a*b", "cannot be read"),
        ("/metrics/job/a/step/-1", "is no integer"),
        ("/metrics/job/a/step/1.5", "is no integer"),
        ("/metrics/job/a/step/99999999999999999999", "is no integer"),
        ("/metrics/job/a/step/%D9%A1", "is no integer"),
    ],
)
def test_paths_that_are_refused(path: str, sentence: str) -> None:
    with pytest.raises(Refused, match=sentence):
        parse(path, b"a 1\n")


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"\xff 1\n", "not in Prometheus' text format"),
        (b"a one\n", "not in Prometheus' text format"),
        (b"a\n", "not in Prometheus' text format"),
        (b'a{b="} 1\n', "not in Prometheus' text format"),
        (b"1a 1\n", "not in Prometheus' text format"),
        (b'{"train loss"} 1\n', "'train loss' is not valid: letters, digits, _ and : only"),
        (b'{"../../etc"} 1\n', "is not valid"),
        (b"a" * 201 + b" 1\n", "longer than 200 characters"),
        (b"a 1" + b"0" * 400 + b"\n", "too large"),
        (b'a{split="train"} 1\n', "has the label 'split': put it into the name"),
        (b"a " + b" " * LONGEST_LINE + b"1\n", "lines or one of more than"),
        (b"a 1\n" * MOST_LINES, "lines or one of more than"),
    ],
)
def test_bodies_that_are_refused(body: bytes, sentence: str) -> None:
    with pytest.raises(Refused, match=sentence):
        parse(PATH, body)


def test_a_sentence_fits_into_a_header_whatever_was_sent() -> None:
    with pytest.raises(Refused) as refused:
        parse(PATH, '{"ä\\nX-Evil: 1\u202e"} 1\n'.encode())
    assert str(refused.value).isascii()
    assert str(refused.value).isprintable()
