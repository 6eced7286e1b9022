"""The page of a model, and what can be had of it."""

import hashlib
import io
import zipfile
from typing import Any

import pytest

from bot.store import experiments, models
from bot.store.schema import Attempt, Experiment, Model
from tests.web.stage import SHA, Stage, address

pytestmark = pytest.mark.service  # each play has a database of its own

FILES = {"weights.bin": b"12345", "sub/<b>.txt": b"text"}
METADATA = '{"loss": "<script>alert(1)</script>"}'


@pytest.fixture
def attempt(stage: Stage) -> Attempt:
    attempt = stage.attempt(stage.experiment())
    stage.finish(attempt)
    stage.backend.files[attempt.backend_id] = {f"model/{path}": content for path, content in FILES.items()}
    return attempt


@pytest.fixture
def experiment(stage: Stage, attempt: Attempt) -> Experiment:
    with stage.database.read() as tx:
        return tx.get_one(Experiment, attempt.experiment_id)


@pytest.fixture
def model(stage: Stage, attempt: Attempt) -> Model:
    row = Model(public_id="1model", attempt_id=attempt.id, type="Tensorflow", path="/artifacts/model", created_at=0)
    row.files = [entry(path, content) for path, content in FILES.items()]
    row.size = sum(map(len, FILES.values()))
    row.details = {"root": "artifacts", "below": "model", "metadata": METADATA, "problems": ["one was too odd"]}
    with stage.database.write() as tx:
        models.add(tx, row)
    return row


def entry(path: str, content: bytes) -> dict[str, Any]:
    return {"path": path, "size": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def at(experiment: Experiment, below: str = "") -> str:
    return f"/models/1model{below}?token={experiment.view_token}"


def test_it_tells_what_it_is_and_where_it_came_from(stage: Stage, experiment: Experiment, model: Model) -> None:
    page = stage.get(at(experiment)).text

    for told in ("Tensorflow", "/artifacts/model", "9 B in 2 files", SHA, "train / fit", "one was too odd"):
        assert told in page
    for path, content in FILES.items():
        assert hashlib.sha256(content).hexdigest() in page
        assert path.replace("<", "&lt;").replace(">", "&gt;") in page
    assert "&lt;script&gt;alert(1)" in page
    assert "<script" not in page
    assert f'href="{address(experiment, "", attempt=1)}'.split("?")[0] in page


def test_each_file_can_be_had_and_all_of_them(stage: Stage, experiment: Experiment, model: Model) -> None:
    assert stage.get(at(experiment, "/files/weights.bin")).data == b"12345"
    assert stage.get(at(experiment, "/files/sub/%3Cb%3E.txt")).data == b"text"

    answer = stage.get(at(experiment, "/model.zip"))

    assert answer.headers["Content-Disposition"] == f"attachment; filename={experiment.public_id}-1-model.zip"
    with zipfile.ZipFile(io.BytesIO(answer.data)) as unpacked:
        assert {name: unpacked.read(name) for name in unpacked.namelist()} == FILES


def test_a_file_that_is_no_longer_the_models_is_not_handed_out(
    stage: Stage, experiment: Experiment, attempt: Attempt, model: Model
) -> None:
    stage.backend.files[attempt.backend_id]["model/weights.bin"] = b"changed since"
    assert stage.get(at(experiment, "/files/weights.bin")).status_code == 404
    assert stage.get(at(experiment, "/files/absent")).status_code == 404
    assert stage.get(at(experiment, "/files/../secret")).status_code == 404


def test_only_who_may_see_the_experiment_sees_its_model(stage: Stage, experiment: Experiment, model: Model) -> None:
    for below in ("", "/files/weights.bin", "/model.zip"):
        assert stage.get(f"/models/1model{below}").status_code == 404
        assert stage.get(f"/models/1model{below}?token=wrong").status_code == 404
        assert stage.get(f"/models/absent{below}?token={experiment.view_token}").status_code == 404
    stage.login()
    assert stage.get("/models/1model").status_code == 200


def test_the_experiment_leads_to_it(stage: Stage, experiment: Experiment, model: Model) -> None:
    assert f'href="{at(experiment)}"' in stage.get(address(experiment)).text


def test_what_was_removed_is_told(stage: Stage, experiment: Experiment, attempt: Attempt, model: Model) -> None:
    stage.backend.files[attempt.backend_id] = {}
    with stage.database.write() as tx:
        experiments.change(tx, attempt.id, removed_at=stage.clock.now())

    page = stage.get(at(experiment)).text

    assert "were removed from this machine" in page
    assert "download all" not in page
    assert stage.get(at(experiment, "/model.zip")).status_code == 404
