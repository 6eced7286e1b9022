"""Through GitHub's manifest flow, as somebody with a browser goes: and whoever else comes to that page."""

import json
import stat
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from bot import envfile
from bot.clock import SystemClock
from bot.devhub import DevHub
from bot.devhub.auth import key_pair
from bot.setup.answers import GitHub
from bot.setup.keep import Place
from tests.forge.standin import Reply, Standin
from tests.scenarios.processes import eventually
from tests.setup.conftest import Begin, Setup
from tests.setup.visitor import Visitor

pytestmark = pytest.mark.service


@pytest.fixture
def visitor(hub: DevHub) -> Visitor:
    return Visitor(hub)


def make(visitor: Visitor, setup: Setup, **answers: str) -> str:
    """Go all the way to GitHub's button and press it; return the address that GitHub led back to."""
    visitor.get(setup.url)
    visitor.press("Continue", **answers)
    assert visitor.status == 200, visitor.words
    visitor.press("Create the App on GitHub")
    assert visitor.status == 200, visitor.words
    visitor.press("Create GitHub App")
    return next(url for url in reversed(visitor.visited) if "code=" in url)


def test_the_whole_way(hub: DevHub, begin: Begin, visitor: Visitor, place: Place) -> None:
    setup = begin(waits=True)
    make(visitor, setup, name="My CI", public_url="https://ci.example.com/")
    assert visitor.status == 200
    assert "The App is there" in visitor.words
    assert "code=" not in visitor.url, "the address bar keeps nothing"

    app, key = hub.app, place.key_file(hub.app.id)
    assert (app.name, app.owner.login, hub.courier.url) == ("My CI", "devhub", "https://ci.example.com/webhook")
    assert key.read_text() == app.private_key
    assert envfile.read(place.env_file) == {
        "GITHUB_APP_ID": str(app.id),
        "GITHUB_PRIVATE_KEY_PATH": str(key),
        "GITHUB_WEBHOOK_SECRET": app.webhook_secret,
        "GITHUB_API_URL": hub.url,
        "GITHUB_WEB_URL": hub.url,
        "PUBLIC_URL": "https://ci.example.com",
    }
    assert sorted(place.env_file.parent.iterdir()) == sorted([key, place.env_file])
    assert {stat.S_IMODE(path.stat().st_mode) for path in (key, place.env_file)} == {0o600}

    assert f"{hub.url}/apps/my-ci/installations/new" in visitor.html
    visitor.get(f"{hub.url}/apps/my-ci/installations/new?owner=devhub")
    visitor.press("Install", selection="all")
    assert eventually(lambda: "Installed on devhub (all repositories)." in setup.said, 10)
    assert "on devhub (all repositories)" in visitor.get(f"{setup.url}now")
    assert setup.has_ended
    assert "ENV_FILE=" in setup.said
    for secret in (app.webhook_secret, app.client_secret, "PRIVATE KEY"):
        assert secret not in setup.said
        assert secret not in visitor.html


def test_what_github_is_asked_for_is_said_before(hub: DevHub, begin: Begin, visitor: Visitor) -> None:
    setup = begin()
    visitor.get(setup.url)
    visitor.press("Continue")
    assert "Pull requests Read and write to write the one comment" in visitor.words
    assert "Merge group the merge queue waits for our checks" in visitor.words
    assert len(visitor.forms()) == 1, "one button"
    manifest = json.loads(str(visitor.form("Create the App on GitHub").fields["manifest"]))
    assert (manifest["public"], manifest["redirect_url"]) == (False, f"{setup.url}created")
    assert manifest["default_events"] == list(hub.app.events)
    visitor.press("Create the App on GitHub")
    assert "Webhooks go to http://127.0.0.1:8080/webhook" in visitor.words
    make(visitor, setup)
    assert setup.has_ended


def test_an_organizations_app(hub: DevHub, begin: Begin, visitor: Visitor) -> None:
    hub.add_organization("umbrella")
    setup = begin()
    make(visitor, setup, owner="organization", organization="umbrella")
    assert hub.app.owner.login == "umbrella"
    assert setup.has_ended


def test_a_machine_that_github_cannot_reach(hub: DevHub, begin: Begin, visitor: Visitor, place: Place) -> None:
    setup = begin()
    make(visitor, setup, intake="poll")
    assert envfile.read(place.env_file)["INTAKE"] == "poll"
    assert setup.has_ended


@pytest.mark.parametrize(
    ("answers", "says"),
    [
        ({"name": ""}, "A name has 1 to 34 characters"),
        ({"name": "x" * 35}, "A name has 1 to 34 characters"),
        ({"owner": "organization", "organization": ""}, "Name it as its address does"),
        ({"owner": "organization", "organization": "a/b"}, "Name it as its address does"),
        ({"public_url": "ci.example.com"}, "Write an address such as"),
        ({"public_url": "https://u:p@ci.example.com"}, "Write an address such as"),
        ({"public_url": 'https://x"><script>'}, "Write an address such as"),
    ],
)
def test_an_answer_that_will_not_do(begin: Begin, visitor: Visitor, answers: dict[str, str], says: str) -> None:
    setup = begin()
    visitor.get(setup.url)
    visitor.press("Continue", **answers)
    assert visitor.status == 422
    assert says in visitor.words
    assert "<script>" not in visitor.html
    fields = visitor.form("Continue").fields
    assert {name: fields[name] for name in answers} == answers, "what was written is there to be corrected"


def test_the_page_is_shut_off(begin: Begin, hub: DevHub) -> None:
    setup = begin()
    answer = requests.get(setup.url, timeout=10)
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'")
    assert policy.endswith(f"form-action 'self' {hub.url}")
    assert "script" not in answer.text
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Referrer-Policy"] == "strict-origin", "GitHub sees an origin, and not the key in our address"
    style = requests.get(f"{setup.url}style.css", timeout=10)
    assert (style.status_code, style.headers["Content-Type"]) == (200, "text/css; charset=utf-8")


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1", "127.0.0.1:1", "localhost.evil.example", ""])
def test_another_name_for_this_machine_is_turned_away(begin: Begin, host: str) -> None:
    """DNS rebinding: a page of evil.example that makes its name mean 127.0.0.1."""
    setup = begin()
    for path in ("", "review", "created?state=a&code=b", "now", "style.css"):
        answer = requests.get(setup.url + path, headers={"Host": host}, timeout=10, allow_redirects=False)
        assert (answer.status_code, setup.url in answer.text) == (421, False)
        assert "A tunnel has the same port at both ends" in answer.text


def test_localhost_is_this_machine_too(begin: Begin) -> None:
    setup = begin()
    assert requests.get(setup.url.replace("127.0.0.1", "localhost"), timeout=10).status_code == 200


def test_without_the_key_in_the_address_there_is_nothing(begin: Begin) -> None:
    """Anybody on this machine can find the port."""
    setup = begin()
    base = "/".join(setup.url.split("/")[:3])
    for path in ("/", "/review", "/created?state=a&code=b", "/now", f"{urlsplit(setup.url).path.upper()}"):
        assert requests.get(base + path, timeout=10).status_code == 404


def test_a_state_that_did_not_go_out_from_here(hub: DevHub, begin: Begin, visitor: Visitor, place: Place) -> None:
    """Somebody leads the browser to us with a code of an App of theirs: we would run what their App says."""
    setup, old = begin(), hub.app
    visitor.get(setup.url)
    visitor.press("Continue")
    state = parse_qs(urlsplit(visitor.form("Create the App on GitHub").action).query)["state"][0]
    for wrong in ("", "x", state[:-1], state + "x", "ä"):
        visitor.get(f"{setup.url}created?{'' if wrong is None else f'state={wrong}&'}code=abc")
        assert visitor.status == 403
        assert "This did not begin here" in visitor.words
    for code in ("", "../../app", "a b", "x" * 300):
        visitor.get(f"{setup.url}created?state={state}&code={code}")
        assert visitor.status == 403
    assert hub.requests.count("POST", "/app-manifests/{code}/conversions") == 0
    assert hub.app is old
    assert not place.env_file.exists()
    make(visitor, setup)
    assert setup.has_ended, "the true way is still open"


def test_what_comes_back_twice_changes_nothing(hub: DevHub, begin: Begin, visitor: Visitor, place: Place) -> None:
    setup = begin(waits=True)
    back = make(visitor, setup)
    kept = place.env_file.read_bytes()
    visitor.get(back)
    assert "The App is there" in visitor.words, "somebody reloads"
    for path in ("", "review?name=x"):
        visitor.get(setup.url + path)
        assert "The App is there" in visitor.words, "one App is made, and no second"
    assert hub.requests.count("POST", "/app-manifests/{code}/conversions") == 1
    assert place.env_file.read_bytes() == kept


def test_a_code_that_github_does_not_know(hub: DevHub, begin: Begin, visitor: Visitor) -> None:
    setup = begin()
    hub.faults.fail_next("POST", r"/conversions$", status=404)
    make(visitor, setup)
    assert (visitor.status, "it was used before, or is older than an hour" in visitor.words) == (502, True)
    assert "Begin again" in visitor.words
    assert eventually(lambda: "GitHub does not know this code (404)" in setup.said, 5)
    make(visitor, setup)
    assert setup.has_ended


@pytest.mark.parametrize("status", [429, 500, 502])
def test_a_github_that_is_tired_is_asked_again(
    hub: DevHub, begin: Begin, visitor: Visitor, place: Place, status: int
) -> None:
    setup = begin()
    hub.faults.fail_next("POST", r"/conversions$", status=status)
    make(visitor, setup)
    assert (visitor.status, f"GitHub answered {status}" in visitor.words) == (502, True)
    visitor.press("Try again")
    assert "The App is there" in visitor.words
    assert envfile.read(place.env_file)["GITHUB_APP_ID"] == str(hub.app.id)
    assert setup.has_ended


def test_an_app_whose_answer_was_lost(hub: DevHub, begin: Begin, visitor: Visitor) -> None:
    """GitHub has made it; its key has gone with the answer. Nothing is claimed, and the way on is said."""
    setup = begin()
    hub.faults.cut_next("POST", r"/conversions$", after_write=True)
    make(visitor, setup)
    assert "GitHub was not reached (ConnectionError)" in visitor.words
    visitor.press("Try again")
    assert "it was used before" in visitor.words
    assert f"{hub.url}/settings/apps" in visitor.html
    assert "experiment-ci setup --by-hand" in visitor.words


def test_a_disk_that_does_not_take_the_key(hub: DevHub, begin: Begin, visitor: Visitor, place: Place) -> None:
    """GitHub gives the key once: it stays in memory until it is written down."""
    setup = begin()
    folder = place.env_file.parent
    folder.rmdir()
    folder.write_text("in the way")
    make(visitor, setup)
    assert visitor.status == 500
    assert "The App is made, but not written down yet" in visitor.words
    assert "cannot be written: Not a directory" in visitor.words
    assert eventually(lambda: "cannot be written: Not a directory" in setup.said, 5)
    visitor.press("Try again")
    assert visitor.status == 500
    folder.unlink()
    folder.mkdir()
    visitor.press("Try again")
    assert "The App is there" in visitor.words
    assert place.key_file(hub.app.id).read_text() == hub.app.private_key
    assert setup.has_ended


def test_settings_that_appeared_meanwhile_are_left_alone(
    hub: DevHub, begin: Begin, visitor: Visitor, place: Place
) -> None:
    setup = begin()
    place.env_file.write_text("somebody's")
    make(visitor, setup)
    assert "The key is in" in visitor.words
    assert "is there already, with something else in it" in visitor.words
    assert place.env_file.read_text() == "somebody's"
    place.env_file.unlink()
    visitor.press("Try again")
    assert envfile.read(place.env_file)["GITHUB_APP_ID"] == str(hub.app.id)
    assert setup.has_ended


def test_an_app_without_a_webhook_secret_is_given_one(
    hub: DevHub, begin: Begin, visitor: Visitor, place: Place
) -> None:
    """GitHub's description says that the secret may be null."""
    api = Standin(SystemClock())
    app = {"id": 7, "slug": "ci", "html_url": f"{hub.url}/apps/ci", "pem": key_pair()[0], "webhook_secret": None}
    api.will(Reply(201, app), Reply(200, {}))
    setup = begin(at=GitHub(api.url, hub.url))
    make(visitor, setup)
    assert setup.has_ended
    api.close()
    secret = envfile.read(place.env_file)["GITHUB_WEBHOOK_SECRET"]
    told = api.asked[-1]
    assert (len(secret), told.line) == (64, "PATCH /app/hook/config")
    assert told.body == {
        "url": "http://127.0.0.1:8080/webhook",
        "content_type": "json",
        "insecure_ssl": "0",
        "secret": secret,
    }
    assert secret not in setup.said


def test_github_enterprise(hub: DevHub, begin: Begin, visitor: Visitor, place: Place) -> None:
    setup = begin(at=GitHub(f"{hub.url}/api/v3", hub.url))
    make(visitor, setup)
    assert setup.has_ended
    kept = envfile.read(place.env_file)
    assert kept["GITHUB_API_URL"] == f"{hub.url}/api/v3"
    assert "GITHUB_WEB_URL" not in kept, "the one says the other"
