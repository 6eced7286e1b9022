"""Real experiments behind the pages: a port that is served from inside the walls, and what is left afterwards."""

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.backends.base import BackendUnavailable, Capacity, Opening, to_json
from bot.backends.local import LocalBackend
from bot.clock import ManualClock, SystemClock
from bot.core.states import WAY
from bot.store import experiments
from bot.store.database import Database
from bot.store.schema import Attempt
from tests.backends.lab import Lab, commit, eventually, powers
from tests.web.stage import Stage, address

pytestmark = [pytest.mark.service, pytest.mark.slow]

SERVER = """\
mkdir -p /artifacts/plots; echo one > /artifacts/plots/loss.txt; echo two > "/artifacts/a b.txt"
ln -s /etc/passwd /artifacts/link
printf '<!doctype html><a href="data">here</a>' > index.html; echo 'seen from outside' > data
exec python3 -m http.server --bind 127.0.0.1 6006
"""


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    def make() -> LocalBackend:
        capacity = Capacity(cpus=2, memory_mb=4096, gpus=0)
        return LocalBackend(tmp_path / "data", capacity, SystemClock(), grace=0.5, powers=powers())

    try:
        lab = Lab(tmp_path / "data", make, commit(tmp_path / "code"))
    except BackendUnavailable as error:
        pytest.skip(str(error))
    yield lab
    lab.close()


def test_what_a_run_serves_and_leaves_is_seen_through_the_bot(
    lab: Lab, database: Database, clock: ManualClock, tmp_path: Path
) -> None:
    stage = Stage(database, clock, tmp_path, "http://bot.example")
    web = stage.web(lab.backend).test_client()
    experiment = stage.experiment()
    attempt: Attempt = stage.attempt(experiment)
    spec = lab.spec(SERVER, ports=(Opening(6006, 6006),))
    with database.write() as tx:
        values = {"backend_id": spec.id, "handle": spec.run_dir, "spec": to_json(spec)}
        experiments.change(tx, attempt.id, **values)
    lab.submitted.append(spec.id)
    lab.backend.submit(spec)
    stage.reach(attempt, *WAY[1:6])

    entrance = address(experiment, "/ports/6006/")
    eventually(lambda: web.get(entrance, follow_redirects=True, buffered=True).status_code == 200)
    page = web.get(entrance, follow_redirects=True, buffered=True)
    assert page.text == '<!doctype html><script src="/static/alone.js"></script><a href="data">here</a>'
    assert web.get(page.request.path + "data", buffered=True).data == b"seen from outside\n"
    assert web.get(page.request.path + "absent", buffered=True).status_code == 404

    lab.backend.cancel(spec.id, "seen")
    lab.end_of(spec.id)
    assert web.get(page.request.path + "data", buffered=True).status_code == 502  # the rows do not know it yet

    archive = web.get(address(experiment, "/artifacts.zip"), buffered=True).data
    with zipfile.ZipFile(io.BytesIO(archive)) as unpacked:
        assert {name: unpacked.read(name) for name in unpacked.namelist()} == {
            "a b.txt": b"two\n",
            "plots/loss.txt": b"one\n",
        }
