"""An App is registered from a manifest, fetched once, and installed: as a browser and its bot see it."""

import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
import yaml

from bot.clock import ManualClock
from bot.devhub import DevHub, Pull, Repository
from bot.resources import MANIFEST
from tests.devhub.browser import Browser
from tests.devhub.client import Client
from tests.devhub.receiver import Receiver

pytestmark = pytest.mark.service
NEW = "/settings/apps/new?state=s%263cret"
BACK = "http://127.0.0.1:9/setup?step=2"


def manifest(**changes: Any) -> str:
    """Return our own manifest as the bot's page sends it; None leaves a member out."""
    content = yaml.safe_load(MANIFEST.read_text()) | {"name": "My CI", "redirect_url": BACK} | changes
    return json.dumps({name: value for name, value in content.items() if value is not None})


def named(hub: DevHub, new: str = NEW, **changes: Any) -> dict[str, list[str]]:
    """Go all the way to the button, and return what the redirect says."""
    browser = Browser(hub)
    browser.post(new, {"manifest": manifest(**changes)}, Origin="https://ci.example.com", Sec_Fetch_Site="cross-site")
    assert browser.status == 200, browser.words
    browser.press("Create GitHub App")
    assert browser.status == 302
    place = urlsplit(browser.headers["Location"])
    assert f"{place.scheme}://{place.netloc}{place.path}" == "http://127.0.0.1:9/setup"
    return parse_qs(place.query)


def convert(hub: DevHub, code: str) -> requests.Response:
    return requests.post(f"{hub.url}/app-manifests/{code}/conversions", timeout=10)


def test_the_whole_way(hub: DevHub, repository: Repository, client: Client, clock: ManualClock) -> None:
    with Receiver() as receiver:
        old = hub.app
        answer = named(hub, hook_attributes={"url": receiver.url})
        assert (answer["step"], answer["state"]) == (["2"], ["s&3cret"])
        assert hub.app is old, "until somebody fetches it"

        made = convert(hub, answer["code"][0])
        assert made.status_code == 201
        app = made.json()
        assert (app["slug"], app["name"], app["owner"]["login"]) == ("my-ci", "My CI", "devhub")
        assert app["permissions"]["checks"] == "write"
        assert app["html_url"] == f"{hub.url}/apps/my-ci"
        assert (hub.app.id, hub.app.private_key) == (app["id"], app["pem"])
        assert (hub.app.webhook_secret, hub.app.client_secret) == (app["webhook_secret"], app["client_secret"])
        assert hub.app.id != old.id

        assert client.as_app("GET", "/app").status_code == 401, "the old key is nobody's"
        assert client.get("/repos/acme/digits").status_code == 401, "and so is its token"
        fresh = Client(hub, clock)
        assert fresh.as_app("GET", "/app").json()["slug"] == "my-ci"
        assert fresh.as_app("GET", "/app/installations").json() == []
        hub.wait_delivered()
        [delivery] = fresh.as_app("GET", "/app/hook/deliveries").json()
        assert delivery["event"] == "ping", "what the old one was sent is none of its business"
        assert fresh.as_app("GET", "/app/hook/config").json()["url"] == receiver.url

        hub.install("acme")
        hub.commit_files(repository, {"a": "b"})
        hub.wait_delivered()
        assert [came.event for came in receiver.received] == ["ping", "installation", "push", "check_suite"]
        assert json.loads(receiver.received[0].body)["hook"]["app_id"] == app["id"]
        assert receiver.received[0].headers["X-GitHub-Hook-Installation-Target-ID"] == str(app["id"])


def test_a_code_is_good_once_and_for_an_hour(hub: DevHub, clock: ManualClock) -> None:
    code, other = (named(hub)["code"][0] for _ in range(2))
    assert convert(hub, code).status_code == 201
    assert convert(hub, code).status_code == 404
    clock.advance(3_600)
    assert convert(hub, other).status_code == 404
    assert convert(hub, "nonsense").status_code == 404


def test_the_name_can_be_edited_and_must_be_ones_own(hub: DevHub, repository: Repository) -> None:
    browser = Browser(hub)
    for name in ("", "acme", "x" * 35, "!!!"):
        browser.post(NEW, {"manifest": manifest()})
        browser.press("Create GitHub App", name=name)
        assert browser.status == 422, name
    browser.post(NEW, {"manifest": manifest()})
    browser.press("Create GitHub App", name="Experiments of Mine")
    code = parse_qs(urlsplit(browser.headers["Location"]).query)["code"][0]
    assert convert(hub, code).json()["slug"] == "experiments-of-mine"


def test_an_organization_owns_what_is_registered_there(hub: DevHub) -> None:
    hub.add_organization("umbrella")
    answer = named(hub, "/organizations/umbrella/settings/apps/new")
    assert "state" not in answer
    assert convert(hub, answer["code"][0]).json()["owner"]["login"] == "umbrella"
    browser = Browser(hub)
    for org in ("nothing", "devhub"):
        browser.post(f"/organizations/{org}/settings/apps/new", {"manifest": manifest()})
        assert browser.status == 404, org


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"url": None}, "Url is missing"),
    ({"url": "ci.example.com"}, "Url must use the http or https scheme"),
    ({"hook_attributes": {"active": True}}, "Hook url is missing"),
    ({"hook_attributes": {"url": "ftp://ci.example.com"}}, "Hook url must use the http or https scheme"),
    ({"hook_attributes": {"url": "http://["}}, "Hook url is not an address"),
    ({"hook_attributes": "https://ci.example.com"}, "Hook attributes must be an object"),
    ({"redirect_url": None}, "Redirect url is missing"),
    ({"redirect_url": "javascript:alert(1)"}, "Redirect url must use the http or https scheme"),
    ({"redirect_url": "http://x; script-src *"}, "Redirect url is not an address"),
    ({"redirect_url": "http://"}, "Redirect url is not an address"),
    ({"default_events": [["push"]]}, "Default events unsupported"),
    ({"setup_url": "//x"}, "Setup url must use the http or https scheme"),
    ({"callback_urls": ["https://x"] * 11}, "at most 10"),
    ({"default_events": ["pushes"]}, "Default events unsupported: pushes"),
    ({"default_events": ["installation"]}, "Default events unsupported: installation"),
    ({"default_permissions": {"checks": "write"}}, "not supported by permissions: push needs the permission contents"),
    ({"default_permissions": {"check": "write"}}, "Default permission check is not known"),
    ({"default_permissions": {"checks": "all"}}, "checks cannot be 'all'"),
    ({"name": "x" * 35}, "maximum is 34"),
    ({"name": ["x"]}, "Name must be a text"),
]


@pytest.mark.parametrize(("changes", "says"), REFUSED)
def test_a_manifest_that_github_would_refuse_gets_a_page_that_says_why(
    hub: DevHub, changes: dict[str, Any], says: str
) -> None:
    browser = Browser(hub)
    browser.post(NEW, {"manifest": manifest(**changes)})
    assert browser.status == 422
    assert "Invalid GitHub App configuration" in browser.words
    assert says in browser.words


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "[" * 100_000])
def test_what_is_no_manifest_at_all(hub: DevHub, text: str) -> None:
    browser = Browser(hub)
    browser.post(NEW, {"manifest": text})
    assert (browser.status, "valid GitHub App manifest" in browser.words) == (422, True)


def test_the_button_is_pressed_on_githubs_own_page(hub: DevHub) -> None:
    browser = Browser(hub)
    browser.post("/settings/apps", {"manifest": manifest(), "name": "x"}, Sec_Fetch_Site="cross-site")
    assert browser.status == 403
    browser.post(NEW, {"manifest": manifest()}, Sec_Fetch_Site="cross-site")
    policy = browser.headers["Content-Security-Policy"]
    assert policy.endswith("form-action 'self' http://127.0.0.1:9"), "or Chrome would not follow the redirect"
    browser.post(NEW, {"manifest": manifest(redirect_url="http://user:pw@[::1]:9/setup")})
    assert browser.headers["Content-Security-Policy"].endswith("form-action 'self' http:")


def test_an_app_without_webhooks_sends_none(hub: DevHub) -> None:
    hook = {"url": "http://127.0.0.1:9/webhook", "active": False}
    convert(hub, named(hub, hook_attributes=hook)["code"][0])
    assert hub.courier.url is None
    assert hub.deliveries == []


def test_somebody_installs_it_by_its_page(hub: DevHub, repository: Repository, pull: Pull) -> None:
    other = hub.create_repository("zoe", "hers", installed=False)
    hub.create_repository("zoe", "more", installed=False)
    browser = Browser(hub, "zoe")
    browser.get("/apps/experiment-ci")
    assert "checks: write" in browser.words
    browser.get("/apps/experiment-ci/installations/new?owner=zoe")
    assert "zoe/hers" in browser.words
    browser.press("Install", selection="selected")
    assert browser.status == 422, "some is at least one"
    browser.get("/apps/experiment-ci/installations/new?owner=zoe")
    browser.press("Install", selection="selected", repositories=[str(other.id), str(repository.id)])
    told = hub.deliveries[-1]
    assert (told.event, told.action, told.payload["sender"]["login"]) == ("installation", "created", "zoe")
    assert [each["full_name"] for each in told.payload["repositories"]] == ["zoe/hers"], "not somebody else's"
    assert "Installed on selected repositories: zoe/hers" in browser.words
    browser.get("/apps/experiment-ci/installations/new?owner=zoe")
    assert "installed on zoe already" in browser.words
    browser.post("/apps/experiment-ci/installations/new", {"owner": "zoe", "selection": "all"})
    assert browser.status == 409


def test_its_setup_page_is_where_one_ends_up(hub: DevHub, repository: Repository) -> None:
    convert(hub, named(hub, setup_url="http://127.0.0.1:9/hello", public=True)["code"][0])
    browser = Browser(hub)
    browser.get("/apps/my-ci/installations/new?owner=acme&state=x")
    assert browser.headers["Content-Security-Policy"].endswith("form-action 'self' http://127.0.0.1:9")
    browser.press("Install")
    number = hub.installation("acme").id
    expected = f"http://127.0.0.1:9/hello?installation_id={number}&setup_action=install&state=x"
    assert (browser.status, browser.headers["Location"]) == (302, expected)


def test_a_private_app_is_for_the_account_that_owns_it(hub: DevHub, repository: Repository) -> None:
    hub.add_organization("umbrella")
    convert(hub, named(hub, "/organizations/umbrella/settings/apps/new")["code"][0])
    browser = Browser(hub)
    browser.get("/apps/my-ci/installations/new?owner=acme")
    assert browser.status == 404
    browser.post("/apps/my-ci/installations/new", {"owner": "acme", "selection": "all"})
    assert browser.status == 404
    browser.post("/apps/my-ci/installations/new", {"owner": "umbrella", "selection": "all"})
    assert "Installed on all repositories" in browser.words


def test_pages_of_what_is_not_there(hub: DevHub) -> None:
    browser = Browser(hub)
    for path in ("/apps/nothing", "/apps/nothing/installations/new", "/settings/installations/1"):
        browser.get(path)
        assert browser.status == 404, path
