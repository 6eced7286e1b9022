"""What becomes a model, what goes into the bucket, and what happens when that does not answer."""

import hashlib
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from bot.clock import ManualClock
from bot.core.gates import DOCUMENT
from bot.core.states import State
from bot.core.trials import Trial, TrialState
from bot.storage.kept import KeptFiles
from bot.store import experiments, metrics
from bot.store.database import Database
from bot.store.schema import Attempt, Commit, Model
from bot.worker.keep import Keep
from tests.backends.lab import eventually
from tests.storage.lab import client
from tests.worker.yard import Yard, write

pytestmark = pytest.mark.service  # each play has a database of its own, some an S3 server


@pytest.fixture
def yard(database: Database, clock: ManualClock, tmp_path: Path) -> Yard:
    return Yard(database, clock, tmp_path)


@pytest.fixture
def keep(yard: Yard) -> Keep:
    """The station of a bot without a bucket."""
    return Keep(yard.database, yard.clock, yard.backend)


def settle(station: Keep) -> None:
    """Let it work until nothing is left to do at once."""
    while station.tick():
        pass


def models(yard: Yard) -> list[Model]:
    with yard.database.read() as tx:
        return list(tx.scalars(select(Model).order_by(Model.id)))


# What is a model


def test_a_successful_experiment_with_a_model_type_has_one(yard: Yard, keep: Keep) -> None:
    files = {"saved_model.pb": b"graph", "variables/variables.data": b"\x00" * 3_000_000, DOCUMENT: b'{"loss": 0.25}'}
    attempt = yard.attempt(files, model_type="Tensorflow")
    with yard.database.write() as tx:
        metrics.put_documents(tx, attempt.id, {DOCUMENT: '{"loss": 0.25}'})
        tx.get_one(Commit, 1).has_news = False

    settle(keep)

    (model,) = models(yard)
    assert (model.type, model.path, model.size) == ("Tensorflow", "/artifacts", sum(map(len, files.values())))
    assert model.files == [
        {"path": path, "size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        for path, content in sorted(files.items())
    ]
    assert model.details["metadata"] == '{\n  "loss": 0.25\n}'
    assert yard.row(attempt).kept_at is not None
    with yard.database.read() as tx:
        assert tx.get_one(Commit, 1).has_news  # the check links to it


def test_so_has_one_with_a_model_path_of_its_own(yard: Yard, keep: Keep) -> None:
    yard.attempt({"model/weights": b"1", "notes.txt": b"2"}, model_path="/artifacts/model/")
    write(yard.storage, {"models/x1/weights": b"3"})
    yard.attempt(model_path="/storage/models/x1/")

    settle(keep)

    assert [(model.type, model.files[0]["path"], model.details["root"]) for model in models(yard)] == [
        ("Custom", "weights", "artifacts"),
        ("Custom", "weights", "storage"),
    ]
    assert [len(model.files) for model in models(yard)] == [1, 1]


def test_a_model_may_be_one_file(yard: Yard, keep: Keep) -> None:
    yard.attempt({"out/model.onnx": b"graph", "other": b""}, model_path="/artifacts/out/model.onnx", model_type="ONNX")

    settle(keep)

    (model,) = models(yard)
    assert [(file["path"], file["size"]) for file in model.files] == [("model.onnx", 5)]
    assert model.details["below"] == "out"


@pytest.mark.parametrize(
    "changes",
    [
        {"model_path": "/artifacts"},
        {"model_path": "/storage", "model_type": "Custom"},
        {"model_path": "/workspace/model", "model_type": "Custom"},
        {"model_path": "/artifacts/../../../secret", "model_type": "Custom"},
        {"model_path": "/artifacts/absent"},
        {"model_type": "Custom", "end": State.FAILED},
        {"model_path": "/storage/models/x1", "keeps_storage": False},
    ],
)
def test_others_have_none_and_are_done_with(yard: Yard, keep: Keep, changes: dict[str, Any]) -> None:
    write(yard.storage, {"models/x1/weights": b"3"})
    attempt = yard.attempt({"weights": b"1"}, **changes)

    settle(keep)

    assert models(yard) == []
    assert yard.row(attempt).kept_at is not None


def test_the_model_of_a_search_is_its_best_trials(yard: Yard, keep: Keep) -> None:
    files = {f"trials/{number}/model/weights": bytes([number]) for number in range(3)}
    search = {"goal": "minimize", "metric": "tensorflow:loss", "trials": 3}
    attempt = yard.attempt(files, model_path="/artifacts/model", mode="search", search=search)
    with yard.database.write() as tx:
        losses = [Trial(number, {}, TrialState.COMPLETE, value) for number, value in enumerate((0.3, 0.1, 0.2))]
        experiments.see_trials(tx, attempt.id, losses)

    settle(keep)

    (model,) = models(yard)
    assert model.details["below"] == "trials/1/model"
    assert model.files[0]["sha256"] == hashlib.sha256(b"\x01").hexdigest()


def test_what_is_not_read_to_its_end_is_waited_for(yard: Yard, keep: Keep) -> None:
    attempt = yard.attempt({"weights": b"1"}, model_type="Custom")
    with yard.database.write() as tx:
        experiments.change(tx, attempt.id, metrics_read_at=None)

    settle(keep)

    assert yard.row(attempt).kept_at is None


# What a run may have put there


def test_links_lead_nowhere(yard: Yard, keep: Keep, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"the bot's own")
    attempt = yard.attempt({"model/real": b"1"}, model_path="/artifacts/model")
    artifacts = yard.directory(attempt) / "artifacts"
    (artifacts / "model" / "link").symlink_to(tmp_path / "secret")
    yard.storage.mkdir(parents=True)
    (yard.storage / "models").symlink_to(tmp_path)
    yard.attempt(model_path="/storage/models")
    (yard.storage / "file").symlink_to(tmp_path / "secret")
    yard.attempt(model_path="/storage/file")

    settle(keep)

    (model,) = models(yard)
    assert [file["path"] for file in model.files] == ["real"]


def test_a_huge_model_does_not_hold_up_the_others(yard: Yard, keep: Keep) -> None:
    large = yard.attempt({}, model_type="Custom")
    with (yard.directory(large) / "artifacts" / "weights").open("wb") as file:
        file.truncate(400 << 20)
    small = yard.attempt({"weights": b"1"}, model_type="Custom")

    while yard.row(small).kept_at is None:
        assert keep.tick()

    assert yard.row(large).kept_at is None
    settle(keep)
    assert [model.size for model in models(yard)] == [1, 400 << 20]


def test_a_worker_that_died_in_between_begins_again(yard: Yard, keep: Keep) -> None:
    attempt = yard.attempt({}, model_type="Custom")
    with (yard.directory(attempt) / "artifacts" / "weights").open("wb") as file:
        file.truncate(200 << 20)
    keep.tick()

    settle(Keep(yard.database, yard.clock, yard.backend))

    assert [model.size for model in models(yard)] == [200 << 20]


# The bucket


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3(moto: str) -> Iterator[Any]:
    s3 = client(moto, "testing", "testing")
    s3.create_bucket(Bucket="kept-files")
    yield s3
    s3.close()


@pytest.fixture
def kept(moto: str) -> KeptFiles:
    return KeptFiles("s3://kept-files/ci", moto, "testing", "testing")


def until(station: Keep, condition: Callable[[], bool]) -> None:
    def looked() -> bool:
        station.tick()
        return condition()

    eventually(looked)


def bodies(s3: Any, attempt: Attempt) -> dict[str, bytes]:
    prefix = f"ci/{attempt.backend_id.replace('-', '/')}/"
    listed = s3.list_objects_v2(Bucket="kept-files", Prefix=prefix).get("Contents", [])
    get = lambda key: s3.get_object(Bucket="kept-files", Key=key)["Body"].read()  # noqa: E731
    return {one["Key"].removeprefix(prefix): get(one["Key"]) for one in listed}


def test_artifacts_and_model_go_into_the_bucket(yard: Yard, s3: Any, kept: KeptFiles, tmp_path: Path) -> None:
    write(yard.storage, {"models/x1/weights": b"3"})
    attempt = yard.attempt({"plots/loss.png": b"png", "ä b?.txt": b"text"}, model_path="/storage/models/x1")
    (tmp_path / "secret").write_bytes(b"the bot's own")
    (yard.directory(attempt) / "artifacts" / "link").symlink_to(tmp_path / "secret")
    station = Keep(yard.database, yard.clock, yard.backend, kept)

    until(station, lambda: yard.row(attempt).kept_at is not None)

    assert bodies(s3, attempt) == {
        "artifacts/plots/loss.png": b"png",
        "artifacts/ä b?.txt": b"text",
        "model/weights": b"3",
    }
    assert yard.row(attempt).archive == f"s3://kept-files/ci/{attempt.backend_id.replace('-', '/')}"


def test_a_bucket_that_refuses_is_asked_again_later(
    yard: Yard, moto: str, s3: Any, caplog: pytest.LogCaptureFixture
) -> None:
    attempt = yard.attempt({"weights": b"1"}, model_type="Custom")
    station = Keep(yard.database, yard.clock, yard.backend, KeptFiles("s3://not-yet", moto, "testing", "testing"))

    with caplog.at_level(logging.WARNING):
        until(station, lambda: bool(caplog.records))

    assert "could not be kept, to be tried again in 30 s" in caplog.text
    assert [model.size for model in models(yard)] == [1]  # the model is told of all the same
    assert yard.row(attempt).kept_at is None
    s3.create_bucket(Bucket="not-yet")
    settle(station)
    assert yard.row(attempt).kept_at is None
    yard.clock.advance(31)
    until(station, lambda: yard.row(attempt).kept_at is not None)


def test_what_is_gone_here_is_read_from_the_bucket(yard: Yard, s3: Any, kept: KeptFiles) -> None:
    attempt = yard.attempt({"model/weights": b"12345"}, model_path="/artifacts/model")
    station = Keep(yard.database, yard.clock, yard.backend, kept)
    until(station, lambda: yard.row(attempt).kept_at is not None)
    web = yard.stage.web(yard.backend, kept).test_client()
    token = yard.view_token(attempt)
    public_id = attempt.backend_id.removesuffix("-1")
    addresses = [
        f"/experiments/{public_id}/artifacts/model/weights?token={token}",
        f"/models/{models(yard)[0].public_id}/files/weights?token={token}",
    ]
    assert [web.get(address, buffered=True).data for address in addresses] == [b"12345", b"12345"]

    (yard.directory(attempt) / "artifacts" / "model" / "weights").unlink()

    for address in addresses:
        answer = web.get(address)
        assert answer.status_code == 302
        assert f"/kept-files/ci/{public_id}/1/artifacts/model/weights?" in answer.headers["Location"]
        assert "testing" not in answer.headers["Location"].replace("Credential=testing", "")
    assert web.get(addresses[0].replace("weights", "absent")).status_code == 404
