"""What a run finds and leaves: datasets, secrets, the project's storage and caches, with the real programs."""

import base64
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bot.backends.base import AttemptReport, AttemptSpec, Capacity, Fetch
from bot.backends.local import Fetching, LocalBackend
from bot.clock import SystemClock
from bot.core.states import State
from tests.backends.lab import Lab, commit, powers

pytestmark = [pytest.mark.service, pytest.mark.slow]


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """The address of an S3 server. It believes everybody; tests/storage has one that does not."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(scope="module")
def bucket(s3: str) -> Iterator[Any]:
    import boto3

    client = boto3.client(
        "s3", endpoint_url=s3, aws_access_key_id="k", aws_secret_access_key="s", region_name="us-east-1"
    )
    client.create_bucket(Bucket="lake")
    client.put_object(Bucket="lake", Key="digits/train.csv", Body=b"1,2,3\n")
    client.put_object(Bucket="lake", Key="digits/test.csv", Body=b"4,5,6\n")
    yield client
    client.close()


@pytest.fixture
def lab(tmp_path: Path, s3: str, bucket: Any) -> Iterator[Lab]:
    if not powers().own_network:
        pytest.skip(f"runs cannot be isolated here: {powers().no_network}")

    def make() -> LocalBackend:
        fetching = Fetching(endpoint_url=s3)
        return LocalBackend(
            tmp_path / "data", Capacity(2, 4096, 0), SystemClock(), grace=0.5, powers=powers(), fetching=fetching
        )

    lab = Lab(tmp_path / "data", make, commit(tmp_path / "code"))
    yield lab
    lab.close()


def run(lab: Lab, command: str, secrets: dict[str, str] | None = None, **changes: Any) -> AttemptReport:
    spec: AttemptSpec = lab.spec(command, **changes)
    lab.submitted.append(spec.id)
    lab.backend.submit(replace(spec, secrets=tuple(secrets or ())), secrets)
    return lab.end_of(spec.id)


def log(lab: Lab, report: AttemptReport) -> str:
    return lab.log(report.id)


# Datasets

DIGITS = Fetch("s3://lake/digits/", "digits", access_key_id="k", secret_access_key="secret:s3")


def test_a_dataset_is_seen_read_only_and_downloaded_once(lab: Lab, bucket: Any) -> None:
    command = "cat /data/digits/train.csv; touch /data/digits/x 2>&1"
    first = run(lab, command + "; true", {"s3": "squeamish"}, fetches=(DIGITS,))
    assert first.seen[-1].state is State.STOPPED, first.seen[-1]
    assert log(lab, first).startswith("1,2,3\n")
    assert "Read-only file system" in log(lab, first)
    assert [one["name"] for one in first.facts["datasets"]] == ["digits"]
    cached = {path: path.stat().st_mtime_ns for path in (lab.data_dir / "cache/datasets").rglob("*.csv")}
    assert len(cached) == 2

    second = run(lab, "cat /data/digits/test.csv", {"s3": "squeamish"}, fetches=(DIGITS,))

    assert log(lab, second) == "4,5,6\n"
    assert {path: path.stat().st_mtime_ns for path in (lab.data_dir / "cache/datasets").rglob("*.csv")} == cached


def test_an_etag_that_differs_is_the_users_failure_with_both_values(lab: Lab) -> None:
    wrong = Fetch("s3://lake/digits/train.csv", "train", etag="0123", access_key_id="k", secret_access_key="s")
    report = run(lab, "true", fetches=(wrong,))
    assert report.seen[-1].state is State.FAILED
    assert "0123" in report.seen[-1].reason
    assert State.PROVISIONED not in [seen.state for seen in report.seen]


def test_a_workspace_from_elsewhere_takes_the_place_of_the_commit(lab: Lab) -> None:
    report = run(lab, "ls", code=None, fetches=(Fetch("s3://lake/digits/", access_key_id="k", secret_access_key="s"),))
    assert (report.seen[-1].state, log(lab, report)) == (State.STOPPED, "test.csv\ntrain.csv\n")


# Secrets


def test_a_secret_reaches_the_run_and_no_log(lab: Lab) -> None:
    secret = "correct horse battery"
    command = 'echo ${#TOKEN}; echo $TOKEN; printf "$TOKEN" | base64'
    report = run(lab, command, {"token": secret}, env={"TOKEN": "secret:token"})
    shown = log(lab, report)
    assert shown == "21\n***\n***\n"
    run_dir = lab.data_dir / "runs"
    everything = b"".join(path.read_bytes() for path in run_dir.rglob("*") if path.is_file())
    assert secret.encode() not in everything
    assert base64.b64encode(secret.encode()) not in everything


def test_a_secret_that_was_not_given_is_no_empty_word(lab: Lab) -> None:
    report = run(lab, "true", env={"TOKEN": "secret:token"})
    assert (report.seen[-1].state, "secret:token" in report.seen[-1].reason) == (State.ERROR, True)


# Storage


def test_what_a_branch_writes_to_storage_is_its_own_and_gone_afterwards(lab: Lab) -> None:
    if not powers().overlay:
        pytest.skip(powers().no_overlay)
    run(lab, "echo main > /storage/checkpoint; mkdir /storage/d; echo keep > /storage/d/file")
    branch = run(
        lab,
        "cat /storage/checkpoint; echo branch > /storage/checkpoint; rm -r /storage/d; cat /storage/checkpoint",
        keeps_storage=False,
    )
    assert log(lab, branch) == "main\nbranch\n"
    after = run(lab, "cat /storage/checkpoint /storage/d/file")
    assert log(lab, after) == "main\nkeep\n"
    assert not (lab.data_dir / "runs" / branch.id.removesuffix("-1") / "1" / "scratch").exists()


def test_caches_last_and_are_apart_by_trust(lab: Lab) -> None:
    ours, theirs = (str(lab.data_dir / "cache" / name / "7") for name in ("default-branch", "other-branches"))
    run(lab, "echo wheel > $PIP_CACHE_DIR.wheel; echo $HF_HOME", cache_dir=ours)
    again = run(lab, "cat $PIP_CACHE_DIR.wheel", cache_dir=ours)
    other = run(lab, "ls /cache", cache_dir=theirs)
    assert (log(lab, again), log(lab, other)) == ("wheel\n", "")


def test_code_that_is_not_trusted_has_no_network(lab: Lab) -> None:
    report = run(lab, "cat /proc/net/dev | grep -c :", is_trusted=False)
    assert log(lab, report) == "1\n"
