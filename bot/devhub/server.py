"""One devhub: its parts put together behind a server on 127.0.0.1."""

import threading
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path
from types import TracebackType
from typing import Any

from flask import Flask
from werkzeug.serving import ThreadedWSGIServer, WSGIRequestHandler

from bot.clock import SECOND, Clock
from bot.devhub import manifest as manifests
from bot.devhub.auth import Gate, Tokens, key_pair
from bot.devhub.courier import Courier
from bot.devhub.deeds import deeds
from bot.devhub.deliveries import ContentType, Delivery
from bot.devhub.faults import Faults
from bot.devhub.git import client_environment
from bot.devhub.model import Account, App, CheckRun, Repository, World
from bot.devhub.pages import pages
from bot.devhub.people import People
from bot.devhub.people.apps import new_app
from bot.devhub.ratelimit import Crowding, Limits, Meter, Trespass
from bot.devhub.registering import registering
from bot.devhub.registrations import Registrations
from bot.devhub.rest import rest
from bot.devhub.site import Site
from bot.devhub.smart_http import smart_http
from bot.devhub.traffic import RequestLog, Traffic
from bot.resources import MANIFEST, TEMPLATES


class DevHub(People):
    """A GitHub on a free port of 127.0.0.1. See the package for how to use it.

    `manifest` is the App's (default: our own app.yaml); `limits` None lifts the rate limits; `port` 0 takes a free one.
    """

    def __init__(
        self,
        root: Path,
        clock: Clock,
        *,
        manifest: Path | None = None,
        limits: Limits | None = Limits(),  # noqa: B008 - frozen
        port: int = 0,
    ) -> None:
        known, world = manifests.read(manifest or MANIFEST), World()
        world.app = new_app(world, known, world.account("devhub"), key_pair(), clock.now())
        tokens = Tokens(clock)
        self.courier = Courier(world, clock)
        gate, meter, registrations = Gate(world, tokens, clock), Meter(clock, limits), Registrations(clock)
        super().__init__(Site(root, clock, world, self.courier, tokens, gate, meter, registrations))
        self.faults = Faults()
        self._traffic = Traffic(_prefixed(_flask(self.site), world), self.faults, clock)
        self._port = port
        self._server: ThreadedWSGIServer | None = None
        self._thread: threading.Thread | None = None
        self._bind()

    @property
    def app(self) -> App:
        """Return the App: another one, once somebody has registered it from a manifest."""
        return self.world.app

    @property
    def url(self) -> str:
        """Return the address of API, git and pages alike, without a slash at its end."""
        return self.site.url

    @property
    def requests(self) -> RequestLog:
        return self._traffic.api

    @property
    def git_requests(self) -> RequestLog:
        return self._traffic.git

    @property
    def deliveries(self) -> list[Delivery]:
        """Return every attempt to deliver a webhook, oldest first."""
        return list(self.courier.deliveries)

    def set_webhook(self, url: str | None, content_type: ContentType = "json") -> None:
        """Say where the App's webhooks go; None: nowhere (they are still written down).

        As a `form` the body is `payload=<the JSON, URL-encoded>`, and the signature is over those bytes.
        """
        self.courier.url, self.courier.content_type = url, content_type

    @property
    def trespasses(self) -> list[Trespass]:
        """Return every request that came while its sender had been told to wait."""
        return list(self.site.meter.trespasses)

    @property
    def crowding(self) -> list[Crowding]:
        """Return every write of an installation that came less than a second after the one before it."""
        return list(self.site.meter.crowding)

    def limit(self, who: str, retry_after: int | None) -> None:
        """Refuse an owner's installation, or the App itself (`app`), by a secondary limit from now on.

        For `retry_after` seconds; None leaves the header out, and a minute counts from the first refusal on.
        """
        self.site.meter.limit(self._actor(who), retry_after)

    def exhaust(self, who: str) -> None:
        """Use up the hourly limit of an owner's installation, or of the App itself (`app`)."""
        self.site.meter.exhaust(self._actor(who))

    def _actor(self, who: str) -> str:
        return f"app {self.app.id}" if who == "app" else f"installation {self.installation(who).id}"

    def wait_delivered(self, timeout: float = 30.0) -> bool:
        """Wait (real seconds) until every webhook was delivered or has failed."""
        return self.courier.wait(timeout)

    def repository(self, full_name: str) -> Repository:
        found = self.world.find(*full_name.split("/", 1))
        if found is None:
            raise KeyError(full_name)
        return found

    def clone_url(self, repository: Repository) -> str:
        return f"{self.url}/{repository.full_name}.git"

    def git_env(self, user: Account) -> dict[str, str]:
        """Return variables for real git to fetch and push as `user`."""
        return client_environment(self.url, user.login, user.token, self.site.root / f"credentials-{user.id}")

    def checks(self, repository: Repository, sha: str) -> list[CheckRun]:
        """Return the newest check run of each name for a commit, oldest first."""
        with self.world.lock:
            suite = repository.suites.get(sha)
            return [] if suite is None else suite.latest()

    def check(self, repository: Repository, sha: str, name: str) -> CheckRun:
        """Return the newest check run of that name; raises KeyError, which lists the names that there are."""
        found = {run.name: run for run in self.checks(repository, sha)}
        if name not in found:
            raise KeyError(f"{name!r} is none of {sorted(found)}")
        return found[name]

    def start(self) -> "DevHub":
        """Serve; after `close` again on the same port, with everything remembered."""
        server = self._server or self._bind()
        self._traffic.closing.clear()
        self.courier.start()
        self._thread = threading.Thread(target=server.serve_forever, args=(0.01,), name="devhub", daemon=True)
        self._thread.start()
        return self

    def close(self) -> None:
        """Stop serving and delivering, as a machine that goes down; what is being answered just now still is."""
        server, self._server = self._server, None
        if server is None:
            return
        if self._thread is not None:
            self._traffic.closing.set()
            server.shutdown()
            self._thread.join()
            self._thread = None
            self.courier.close()
        server.server_close()

    def _bind(self) -> ThreadedWSGIServer:
        handler = type("Handler", (_Handler,), {"clock": self.site.clock})
        self._server = ThreadedWSGIServer("127.0.0.1", self._port, self._traffic, handler=handler)
        self._port = self._server.port
        self.site.url = f"http://127.0.0.1:{self._port}"
        return self._server

    def __enter__(self) -> "DevHub":
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Handler(WSGIRequestHandler):
    """Quiet (requests are in the log that tests read), and with the `Date` of the clock that devhub was given."""

    clock: Clock

    def log(self, type: str, message: str, *args: Any) -> None:
        pass

    def version_string(self) -> str:
        return "devhub"

    def date_time_string(self, timestamp: float | None = None) -> str:
        return format_datetime(datetime.fromtimestamp(timestamp or self.clock.now() / SECOND, UTC), usegmt=True)


def _flask(site: Site) -> Flask:
    flask = Flask("devhub", static_folder=None, template_folder=str(TEMPLATES / "devhub"))
    flask.json.sort_keys = False  # type: ignore[attr-defined]
    flask.url_map.merge_slashes = False
    flask.register_blueprint(rest(site))
    flask.register_blueprint(smart_http(site))
    flask.register_blueprint(deeds(site))
    flask.register_blueprint(registering(site))
    flask.register_blueprint(pages(site))
    return flask


def _prefixed(application: Flask, world: World) -> Callable[[dict[str, Any], Any], Iterable[bytes]]:
    """Serve the API below `/api/v3` too, as GitHub Enterprise does, and `/repositories/<id>`, where redirects go."""

    def answer(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if path.startswith("/api/v3/"):
            path = path.removeprefix("/api/v3")
            environ |= {"SCRIPT_NAME": "/api/v3", "PATH_INFO": path}
        if path.startswith("/repositories/"):
            number, _, rest_of_path = path.removeprefix("/repositories/").partition("/")
            found = world.repositories.get(int(number)) if number.isdigit() else None
            if found is not None:
                path = f"/repos/{found.full_name}" + (f"/{rest_of_path}" if rest_of_path else "")
                environ["PATH_INFO"] = path
        return application(environ, start_response)

    return answer
