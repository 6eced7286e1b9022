"""Station six: what finished attempts left is written down as a model and, if the settings name a bucket, put there.

A model may have 50 GB: it is read slice by slice, all attempts taking turns, and uploads are threads of their own.
Whatever is cut short here is begun again; nothing in a checksum or a bucket is half done.
"""

import json
import logging
from collections.abc import Callable, Generator
from dataclasses import asdict
from pathlib import Path
from threading import Semaphore, Thread

from bot.backends import artifacts
from bot.backends.base import Backend, from_json
from bot.clock import HOUR, SECOND, Clock
from bot.core.gates import DOCUMENT
from bot.core.states import State
from bot.storage.errors import Refused, Unavailable
from bot.storage.kept import ARTIFACTS, MODEL, KeptFiles
from bot.store import commits, experiments, metrics, models
from bot.store.database import Database
from bot.store.experiments import new_public_id
from bot.store.models import Kept, joined
from bot.store.schema import Attempt, Model
from bot.store.searches import best_trial
from bot.worker.model import Contents, Place, place_of, read

_AT_ONCE = 100
"""Attempts that take turns."""
_A_WHILE = 1.0
"""Seconds of work in one tick: the lease is renewed between two."""
_UPLOADS = 2
_LISTED = 500
"""Artifacts whose names stay in the row when they are archived: what a page shows."""
_FIRST_REST, _LONGEST_REST = 30 * SECOND, HOUR

Work = Generator[bool, None, None]
"""Yields after each slice whether there is more to do at once; False when it waits for something."""
_log = logging.getLogger(__name__)


class Keep:
    """Records models, archives artifacts. `kept` None: nothing leaves this machine."""

    name = "keep"

    def __init__(self, database: Database, clock: Clock, backend: Backend, kept: KeptFiles | None = None) -> None:
        self._database, self._clock, self._backend, self._kept = database, clock, backend, kept
        self._at_work: dict[int, Work] = {}
        self._resting: dict[int, tuple[int, int]] = {}
        """When to try again what did not work, and how long that rest was, in microseconds."""
        self._uploads = Semaphore(_UPLOADS)

    def tick(self) -> bool:
        """Work for a while; True when there is more to do at once."""
        self._take_on()
        end = self._clock.monotonic() + _A_WHILE
        is_busy = False
        for attempt_id, work in list(self._at_work.items()):
            is_busy = self._go_on(attempt_id, work) or is_busy
            if self._clock.monotonic() > end:
                break
        return is_busy

    def _take_on(self) -> None:
        now = self._clock.now()
        with self._database.read() as tx:
            waiting = models.unkept(tx)
        self._resting = {key: rest for key, rest in self._resting.items() if key in waiting}
        for attempt_id in waiting:
            if len(self._at_work) >= _AT_ONCE:
                return
            if attempt_id not in self._at_work and self._resting.get(attempt_id, (0, 0))[0] <= now:
                self._at_work[attempt_id] = self._keep(attempt_id)

    def _go_on(self, attempt_id: int, work: Work) -> bool:
        """Do one slice; the attempt goes to the end of the queue."""
        del self._at_work[attempt_id]
        try:
            is_busy = next(work)
        except StopIteration:
            self._resting.pop(attempt_id, None)
            return True
        except Exception as error:
            self._rest(attempt_id, error)
            return False
        self._at_work[attempt_id] = work
        return is_busy

    def _rest(self, attempt_id: int, error: Exception) -> None:
        _, last = self._resting.get(attempt_id, (0, 0))
        rest = min(max(last * 2, _FIRST_REST), _LONGEST_REST)
        self._resting[attempt_id] = (self._clock.now() + rest, rest)
        is_known = isinstance(error, Refused | Unavailable)
        reason = f"what attempt {attempt_id} left could not be kept, to be tried again in {rest // SECOND} s: {error}"
        _log.warning(reason, exc_info=None if is_known else error)

    def _keep(self, attempt_id: int) -> Work:
        with self._database.read() as tx:
            found = models.to_keep(tx, attempt_id)
        attempt, place = found.attempt, None
        if found.model is None and attempt.state == State.STOPPED:
            yield from self._record(found)
            with self._database.read() as tx:
                found = models.to_keep(tx, attempt_id)
        if self._kept is not None and attempt.handle is not None:
            place = self._kept.place(attempt.backend_id)
            yield from self._archive(self._kept, place, found)
        with self._database.write() as tx:
            experiments.change(tx, attempt_id, kept_at=self._clock.now(), archive=place)
            commits.touch(tx, found.commit.id)

    def _record(self, found: Kept) -> Work:
        """Write the model down, if there is one."""
        attempt = found.attempt
        spec, model_type = from_json(attempt.spec), found.experiment.params.get("model_type")
        with self._database.read() as tx:
            trial = best_trial(tx, attempt)
            metadata = metrics.documents(tx, attempt.id).get(DOCUMENT)
        where = place_of(spec, model_type is not None, trial)
        if where is None:
            return
        reading = read(where)
        while True:
            try:
                next(reading)
            except StopIteration as end:
                place, contents = end.value
                break
            yield True
        if contents.files or contents.problems:
            self._write_down(attempt, model_type or "Custom", spec.env["PS_MODEL_PATH"], place, contents, metadata)
            with self._database.write() as tx:
                commits.touch(tx, found.commit.id)

    def _write_down(
        self, attempt: Attempt, kind: str, path: str, place: Place, contents: Contents, metadata: str | None
    ) -> None:
        now = self._clock.now()
        row = Model(public_id=new_public_id(now), attempt_id=attempt.id, type=kind, path=path, created_at=now)
        row.files, row.size = [asdict(file) for file in contents.files], contents.size
        row.details = {
            "root": place.root,
            "below": place.below,
            "metadata": None if metadata is None else json.dumps(json.loads(metadata), indent=2),
            "problems": contents.problems,
        }
        with self._database.write() as tx:
            models.add(tx, row)

    def _archive(self, kept: KeptFiles, place: str, found: Kept) -> Work:
        while not self._uploads.acquire(blocking=False):
            yield False
        try:
            upload = _Upload(lambda: self._send(kept, place, found))
            while not upload.is_over:
                yield False
            upload.check()
        finally:
            self._uploads.release()

    def _send(self, kept: KeptFiles, place: str, found: Kept) -> None:
        """Upload everything; what was there is replaced."""
        backend_id, listed = found.attempt.backend_id, []
        for artifact in self._backend.artifacts(backend_id):
            name = f"{ARTIFACTS}/{artifact.path}"
            if not kept.takes(place, name):
                _log.warning("attempt %s: a name is too long for S3, its file is not archived", backend_id)
                continue
            with self._backend.open_artifact(backend_id, artifact.path) as file:
                kept.put(place, name, file)
            listed.append([artifact.path, artifact.size])
        if found.model is not None and found.model.details["root"] != ARTIFACTS:
            self._send_model(kept, place, found.model, found.attempt)
        with self._database.write() as tx:
            facts = {**found.attempt.facts, "archived": listed[:_LISTED]}
            experiments.change(tx, found.attempt.id, facts=facts)

    def _send_model(self, kept: KeptFiles, place: str, model: Model, attempt: Attempt) -> None:
        """Upload a model that lies in the project's storage, as far as nothing has changed it since."""
        storage = Path(attempt.spec["storage_dir"])
        for file in model.files:
            try:
                opened = artifacts.open_one(storage, joined(model.details["below"], file["path"]))
            except FileNotFoundError:
                _log.warning("attempt %s: a file of its model is gone from the storage", attempt.backend_id)
                continue
            with opened:
                kept.put(place, f"{MODEL}/{file['path']}", opened)


class _Upload:
    """Something that takes long, in a thread that does not keep the worker from ending."""

    def __init__(self, action: Callable[[], None]) -> None:
        self._action = action
        self._error: Exception | None = None
        self._thread = Thread(target=self._run, daemon=True, name="upload")
        self._thread.start()

    @property
    def is_over(self) -> bool:
        return not self._thread.is_alive()

    def check(self) -> None:
        """Raise what the action raised."""
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            self._action()
        except Exception as error:
            self._error = error
