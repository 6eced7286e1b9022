"""A port of a running experiment behind our own address: what passes, what does not, and who may come in."""

import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from werkzeug.test import TestResponse

from bot.clock import HOUR
from bot.core.states import WAY, State
from bot.store import experiments
from bot.store.schema import Attempt, Experiment
from bot.web import ports
from tests.web.stage import Stage, address

pytestmark = pytest.mark.service  # each play has a real server behind the port

PORT = 6006
Handler = Callable[[BaseHTTPRequestHandler], None]


class Served:
    """What a run serves: `answer` is called for each request, `seen` are those that came."""

    def __init__(self) -> None:
        self.answer: Handler = lambda request: reply(request, b"hello")
        self.seen: list[tuple[str, str, dict[str, str], bytes]] = []
        served = self

        class Request(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one_request(self) -> None:
                self.raw_requestline = self.rfile.readline(65537)
                if self.raw_requestline and self.parse_request():
                    body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                    served.seen.append((self.command, self.path, dict(self.headers), body))
                    served.answer(self)
                    self.wfile.flush()
                self.close_connection = True

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Request)
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def connect(self, attempt_id: str, port: int) -> socket.socket:
        assert port == PORT
        return socket.create_connection(("127.0.0.1", self._server.server_port))

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def reply(request: BaseHTTPRequestHandler, body: bytes, status: int = 200, **headers: str) -> None:
    request.send_response(status)
    for name, value in {"Content_Length": str(len(body)), **headers}.items():
        request.send_header(name.replace("_", "-"), value)
    request.end_headers()
    request.wfile.write(body)


@pytest.fixture
def served(stage: Stage) -> Iterator[Served]:
    served = Served()
    stage.backend.connect = served.connect
    yield served
    served.close()


@pytest.fixture
def attempt(stage: Stage, served: Served) -> Attempt:
    """A running attempt that opened a port."""
    attempt = stage.attempt(stage.experiment())
    stage.reach(attempt, *WAY[1:6])
    with stage.database.write() as tx:
        spec = {**attempt.spec, "ports": [{"host": 8080, "container": PORT}]}
        experiments.change(tx, attempt.id, spec=spec)
    return attempt


@pytest.fixture
def experiment(stage: Stage, attempt: Attempt) -> Experiment:
    with stage.database.read() as tx:
        return tx.get_one(Experiment, attempt.experiment_id)


@pytest.fixture
def place(stage: Stage, experiment: Experiment) -> str:
    """Where the port is, with its pass."""
    answer = stage.get(address(experiment, f"/ports/{PORT}/"))
    assert answer.status_code == 303
    return answer.headers["Location"].removesuffix("/")


def ask(stage: Stage, url: str, method: str = "GET", **options: Any) -> TestResponse:
    return stage.client.open(url, method=method, buffered=True, **options)


# Who may come in


def test_whoever_may_see_the_page_is_led_to_the_port(stage: Stage, experiment: Experiment, place: str) -> None:
    assert ask(stage, f"{place}/").data == b"hello"
    stage.login()
    assert stage.get(f"/experiments/{experiment.public_id}/ports/{PORT}/").status_code == 303


def test_nobody_else_is(stage: Stage, experiment: Experiment, place: str, served: Served) -> None:
    for closed in (
        f"/experiments/{experiment.public_id}/ports/{PORT}/",
        f"/experiments/{experiment.public_id}/ports/{PORT}/?token=wrong",
        f"{place[:-1]}x/",
        f"{place.replace(str(PORT), '22')}/",
        address(experiment, "/ports/22/"),
    ):
        assert stage.get(closed).status_code == 404
    assert served.seen == []


def test_a_pass_ends_with_its_time_the_run_or_the_page(stage: Stage, attempt: Attempt, place: str) -> None:
    stage.clock.advance(12 * HOUR / 1_000_000)
    assert ask(stage, f"{place}/").status_code == 404


def test_a_run_that_ended_has_no_ports(stage: Stage, attempt: Attempt, experiment: Experiment, place: str) -> None:
    stage.reach(attempt, State.NETWORK_TEARDOWN)
    assert ask(stage, f"{place}/").status_code == 404
    assert stage.get(address(experiment, f"/ports/{PORT}/")).status_code == 404


def test_the_page_links_to_the_ports_of_a_running_attempt(
    stage: Stage, attempt: Attempt, experiment: Experiment
) -> None:
    link = f"/experiments/{experiment.public_id}/ports/{PORT}/?token={experiment.view_token}"
    assert link in stage.get(address(experiment)).text
    stage.reach(attempt, State.NETWORK_TEARDOWN)
    assert link not in stage.get(address(experiment)).text


# What reaches the run


def test_the_run_gets_what_was_asked_as_it_was_written(stage: Stage, place: str, served: Served) -> None:
    ask(stage, f"{place}/a%2Fb/c%20d;e?tag=x%26y&b=")
    assert [(method, path) for method, path, _, _ in served.seen] == [("GET", "/a%2Fb/c%20d;e?tag=x%26y&b=")]


def test_every_method_and_a_body_larger_than_our_own_pages_take(stage: Stage, place: str, served: Served) -> None:
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        assert ask(stage, f"{place}/data", method, data=b"x" * 200_000).status_code == 200
    assert [(method, len(body)) for method, _, _, body in served.seen] == [
        (method, 200_000) for method in ("POST", "PUT", "PATCH", "DELETE")
    ]


def test_nothing_of_the_viewer_reaches_the_run_but_what_it_needs(stage: Stage, place: str, served: Served) -> None:
    stage.login()
    stage.client.set_cookie("session-of-another-application", "secret")
    stage.client.set_cookie("run-theme", "dark")
    identities = {"Authorization": "Bearer secret", "Cf-Access-Jwt-Assertion": "secret", "X-Forwarded-For": "secret"}
    wanted = {"Accept": "text/plain", "Range": "bytes=0-3", "X-XSRF-Protected": "1"}

    ask(stage, f"{place}/", headers={**identities, **wanted, "Referer": "http://bot.example/?token=secret"})

    ((_, _, headers, _),) = served.seen
    assert headers["Cookie"] == "theme=dark"
    assert headers["Host"] == f"localhost:{PORT}"
    assert {name: headers[name] for name in ("Accept", "Range")} == {"Accept": "text/plain", "Range": "bytes=0-3"}
    assert "secret" not in str(headers)


# What comes back


def test_what_a_run_serves_has_no_origin_of_ours(stage: Stage, place: str, served: Served) -> None:
    served.answer = lambda request: reply(
        request, b"<p>page", Content_Type="text/html", Content_Security_Policy="default-src *", X_Powered_By="us"
    )

    answer = ask(stage, f"{place}/")

    (policy,) = answer.headers.getlist("Content-Security-Policy")
    assert policy.startswith("sandbox ")
    assert "allow-same-origin" not in policy
    assert "allow-top-navigation" not in policy
    assert "X-Powered-By" not in answer.headers
    assert answer.headers["Referrer-Policy"] == "no-referrer"


def test_a_run_can_ask_nothing_of_the_browser_about_us(stage: Stage, place: str, served: Served) -> None:
    served.answer = lambda request: reply(
        request,
        b"",
        401,
        WWW_Authenticate='Basic realm="Experiment CI"',
        Clear_Site_Data='"*"',
        Strict_Transport_Security="max-age=1",
        Service_Worker_Allowed="/",
        Access_Control_Allow_Origin="*",
    )

    answer = ask(stage, f"{place}/")

    assert answer.status_code == 401
    assert set(answer.headers.keys()) == {
        *("Content-Length", "Content-Security-Policy", "Referrer-Policy", "X-Robots-Tag"),
    }


def test_its_cookies_live_below_the_pass_under_names_of_their_own(stage: Stage, place: str, served: Served) -> None:
    cookie = "experiment_ci_login=mine; Path=/; Domain=example; Max-Age=60; Secure"
    served.answer = lambda request: reply(request, b"", Set_Cookie=cookie)

    (kept,) = ask(stage, f"{place}/").headers.getlist("Set-Cookie")

    assert kept == f"run-experiment_ci_login=mine; Path={place}/; HttpOnly; SameSite=Lax; max-age=60"


@pytest.mark.parametrize(
    "cookie",
    [
        "x; Domain=example=mine",
        "x; Path=/; y=mine",
        'a=b; Max-Age="1; Path=/"',
        'a=b; Expires="x; Path=/; Domain=example"',
        "a b=mine",
    ],
)
def test_a_cookie_of_a_run_cannot_widen_its_place(stage: Stage, place: str, served: Served, cookie: str) -> None:
    """On all of our addresses it would go to other runs, and many of them would make every request too long."""
    served.answer = lambda request: reply(request, b"", Set_Cookie=cookie)

    for kept in ask(stage, f"{place}/").headers.getlist("Set-Cookie"):
        attributes = [part.strip() for part in kept.split(";")[1:]]
        assert [part for part in attributes if part.lower().startswith(("path", "domain"))] == [f"Path={place}/"], kept
        assert "=" in kept.partition(";")[0]


@pytest.mark.parametrize(
    ("location", "seen"),
    [
        ("/login?next=/", "{place}/login?next=/"),
        (f"http://localhost:{PORT}/tree", "{place}/tree"),
        ("tree", "tree"),
        ("https://elsewhere.example/x", "https://elsewhere.example/x"),
        ("javascript:alert(1)", None),
    ],
)
def test_a_redirect_stays_below_the_pass(
    stage: Stage, place: str, served: Served, location: str, seen: str | None
) -> None:
    served.answer = lambda request: reply(request, b"", 302, Location=location)

    answer = ask(stage, f"{place}/")

    assert answer.headers.get("Location") == (seen and seen.format(place=place))


def test_scripts_without_an_origin_may_ask_below_the_pass(stage: Stage, place: str, served: Served) -> None:
    asked = {"Origin": "null", "Access-Control-Request-Method": "POST"}
    preflight = ask(stage, f"{place}/data", "OPTIONS", headers=asked)
    assert preflight.status_code == 204
    assert "x-xsrf-protected" in preflight.headers["Access-Control-Allow-Headers"]
    assert served.seen == []

    assert ask(stage, f"{place}/", headers={"Origin": "null"}).headers["Access-Control-Allow-Origin"] == "null"
    stranger = ask(stage, f"{place}/", headers={"Origin": "https://elsewhere.example"})
    assert "Access-Control-Allow-Origin" not in stranger.headers


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        (b"<!doctype html><title>x", b"<!doctype html>{script}<title>x"),
        (
            b"\xef\xbb\xbf <!-- by hand -->\n<!DOCTYPE HTML><p>",
            b"\xef\xbb\xbf <!-- by hand -->\n<!DOCTYPE HTML>{script}<p>",
        ),
        (b"<p>no doctype", b"{script}<p>no doctype"),
        (b"", b"{script}"),
    ],
)
def test_a_page_begins_with_our_script(stage: Stage, place: str, served: Served, page: bytes, expected: bytes) -> None:
    served.answer = lambda request: reply(request, page, Content_Type="text/html; charset=utf-8")

    answer = ask(stage, f"{place}/")

    assert answer.data == expected.replace(b"{script}", b'<script src="/static/alone.js"></script>')
    assert answer.headers["Content-Length"] == str(len(answer.data))


def test_what_is_no_page_is_left_as_it_is(stage: Stage, place: str, served: Served) -> None:
    for kind, more in (("application/json", {}), ("text/html", {"Content_Encoding": "gzip"})):
        served.answer = lambda request, kind=kind, more=more: reply(request, b"{}", Content_Type=kind, **more)  # type: ignore[misc]
        assert ask(stage, f"{place}/").data == b"{}"


def test_an_answer_is_handed_on_as_it_comes(stage: Stage, place: str, served: Served) -> None:
    """A stream of events: the second comes when the first was seen."""
    go_on = threading.Event()

    def stream(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Transfer-Encoding", "chunked")
        request.end_headers()
        request.wfile.write(b"5\r\nfirst\r\n")
        assert go_on.wait(10)
        request.wfile.write(b"6\r\nsecond\r\n0\r\n\r\n")

    served.answer = stream
    answer = stage.client.get(f"{place}/events")
    blocks = answer.iter_encoded()
    assert next(blocks) == b"first"
    go_on.set()
    assert b"".join(blocks) == b"second"
    answer.close()


def test_an_answer_that_breaks_off_is_not_taken_for_a_whole_one(stage: Stage, place: str, served: Served) -> None:
    def half(request: BaseHTTPRequestHandler) -> None:
        reply(request, b"half", Content_Length="100")

    served.answer = half
    with pytest.raises(BrokenPipeError):
        ask(stage, f"{place}/")


def test_one_that_does_not_answer_is_told_in_a_sentence(stage: Stage, place: str, served: Served) -> None:
    def refuse(*_: object) -> socket.socket:
        raise ConnectionRefusedError

    served.answer = lambda request: request.wfile.write(b"SSH-2.0-OpenSSH\r\n")  # type: ignore[func-returns-value]
    assert "does not speak HTTP" in ask(stage, f"{place}/").text
    stage.backend.connect = refuse
    answer = ask(stage, f"{place}/")
    assert answer.status_code == 502
    assert "nothing listens" in answer.text
    assert "default-src" in answer.headers["Content-Security-Policy"]


def test_a_change_of_protocol_is_refused_plainly(stage: Stage, place: str, served: Served) -> None:
    answer = ask(stage, f"{place}/ws", headers={"Connection": "Upgrade", "Upgrade": "websocket"})
    assert answer.status_code == 501
    assert served.seen == []


def test_only_so_many_are_at_work_at_a_time(stage: Stage, place: str, served: Served) -> None:
    open_answers = []
    for _ in range(ports.TURNS):
        open_answers.append(stage.client.get(f"{place}/"))  # not read to its end, so not over
    busy = ask(stage, f"{place}/")
    assert busy.status_code == 503
    assert busy.headers["Retry-After"] == "1"
    for answer in open_answers:
        answer.close()
    assert ask(stage, f"{place}/").status_code == 200
