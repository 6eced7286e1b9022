"""Step by step at the terminal: what is said, what is asked, what is believed."""

import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from bot import envfile
from bot.devhub import DevHub
from bot.devhub.auth import new_key_pair
from bot.setup.answers import Answers, GitHub
from bot.setup.by_hand import by_hand
from bot.setup.keep import Place, prepare
from bot.setup.terminal import GaveUp, Terminal
from tests.setup.conftest import Hasty

pytestmark = pytest.mark.service


class Person:
    """Somebody at the terminal who answers in this order, and then goes away."""

    def __init__(self, *answers: str, when_waiting: Callable[[], object] = lambda: None) -> None:
        self.said, self.asked = "", []
        self._when_waiting = when_waiting
        self._answers = [*answers]
        self.terminal = Terminal(self._hear, self._answer)

    def _hear(self, text: str) -> None:
        self.said += text + "\n"
        if text.startswith("Waiting"):
            self._when_waiting()

    def _answer(self, question: str) -> str:
        self.asked.append(question)
        if not self._answers:
            raise EOFError
        return self._answers.pop(0)


@pytest.fixture
def downloaded(hub: DevHub, tmp_path: Path) -> Path:
    """The key as a browser leaves it: readable by everybody."""
    path = tmp_path / "digits-ci.2026-01-01.private-key.pem"
    path.write_text(hub.app.private_key)
    path.chmod(0o644)
    return path


Go = Callable[..., None]
AS_IT_IS = ("", "", "", "")


@pytest.fixture
def go(github: GitHub, place: Place) -> Go:
    def through(person: Person, *, waits: bool = False, at: GitHub = github) -> None:
        prepare(place)
        first = Answers(at, "Digits CI", None, "https://ci.example.com", True)
        by_hand(first, place, person.terminal, Hasty(), waits=waits)

    return through


def test_the_whole_way(hub: DevHub, go: Go, place: Place, downloaded: Path) -> None:
    person = Person(*AS_IT_IS, str(hub.app.id), str(downloaded))
    go(person)
    key = place.key_file(hub.app.id)
    assert (key.read_text(), stat.S_IMODE(key.stat().st_mode)) == (hub.app.private_key, 0o600)
    kept = envfile.read(place.env_file)
    assert kept["GITHUB_APP_ID"] == str(hub.app.id)
    assert kept["GITHUB_WEBHOOK_SECRET"] == hub.app.webhook_secret, "GitHub was told, and nobody had to copy it"
    assert hub.courier.url == "https://ci.example.com/webhook"
    assert kept["GITHUB_WEBHOOK_SECRET"] not in person.said
    assert f"Delete the file that was downloaded: {downloaded}" in person.said


def test_the_fields_are_named_as_on_githubs_page(hub: DevHub, go: Go, downloaded: Path) -> None:
    person = Person(*AS_IT_IS, str(hub.app.id), str(downloaded))
    go(person)
    for line in (
        f"{hub.url}/settings/apps/new?name=Digits+CI&",
        "GitHub App name    Digits CI",
        "Homepage URL       https://ci.example.com",
        "Webhook URL        https://ci.example.com/webhook",
        "Webhook secret     leave it empty",
        "Pull requests   Read and write  to write the one comment",
        "Push, Pull request, Issue comment, Merge group, Repository",
        "Only on this account",
    ):
        assert line in person.said


def test_the_answers_can_be_corrected(hub: DevHub, go: Go, place: Place, downloaded: Path) -> None:
    wrong = ("ci.example.com", "no", "a/b", "")
    person = Person(*wrong, "https://ci.example.com", "no", "umbrella", "CI", str(hub.app.id), str(downloaded))
    go(person)
    assert person.said.startswith("✗ Name it as its address does")
    assert f"{hub.url}/organizations/umbrella/settings/apps/new?name=CI&" in person.said
    assert envfile.read(place.env_file)["INTAKE"] == "poll"


def test_a_wrong_id_and_a_wrong_key_are_asked_for_again(
    hub: DevHub, go: Go, place: Place, downloaded: Path, tmp_path: Path
) -> None:
    other, public = tmp_path / "other.pem", tmp_path / "public.pem"
    other.write_text(new_key_pair()[0])
    public.write_text(new_key_pair()[1])
    person = Person(
        *AS_IT_IS,
        *("Iv23abc", str(downloaded)),
        *(str(hub.app.id + 1), ""),
        *(str(hub.app.id), str(other)),
        *("", str(public)),
        *("", str(tmp_path / "nothing.pem")),
        *("", str(tmp_path)),
        *("", str(downloaded)),
    )
    go(person)
    complaints = [line for line in person.said.splitlines() if line.startswith("✗")]
    assert complaints == [
        "✗ The App ID is a number, near the top of the App's page (the client ID will not do).",
        f"✗ There is no App {hub.app.id + 1}: GITHUB_APP_ID is the number called “App ID” on the App's settings page.",
        f"✗ The private key does not belong to App {hub.app.id}, or it was deleted on the App's settings page.",
        f"✗ {public} is no private key as GitHub makes them (-----BEGIN RSA PRIVATE KEY-----).",
        f"✗ {tmp_path}/nothing.pem cannot be read: No such file or directory.",
        f"✗ {tmp_path} cannot be read: Is a directory.",
    ]
    assert f"App ID [{hub.app.id}]: " in person.asked, "what was right need not be written again"
    assert place.key_file(hub.app.id).read_text() == hub.app.private_key


def test_somebody_who_goes_away_leaves_nothing_behind(hub: DevHub, go: Go, place: Place) -> None:
    for answers in ((), AS_IT_IS, (*AS_IT_IS, "7")):
        with pytest.raises(GaveUp):
            go(Person(*answers))
    assert [*place.env_file.parent.iterdir()] == []


def test_a_github_that_is_not_there(go: Go, downloaded: Path, hub: DevHub) -> None:
    person = Person(*AS_IT_IS, str(hub.app.id), str(downloaded))
    with pytest.raises(GaveUp):
        go(person, at=GitHub("http://127.0.0.1:9", "http://127.0.0.1:9"))
    assert "✗ http://127.0.0.1:9: GitHub was not reached (ConnectionError)." in person.said


def test_what_was_forgotten_in_the_form_is_said(hub: DevHub, go: Go, downloaded: Path) -> None:
    hub.app.permissions = hub.app.permissions | {"checks": "read"}
    hub.app.events = ("push",)
    person = Person(*AS_IT_IS, str(hub.app.id), str(downloaded))
    go(person)
    lacking = "Lacking checks: write. Not subscribed to issue_comment, merge_group, pull_request, repository."
    assert f"✗ {lacking} Add that on the App's page" in person.said


def test_a_secret_that_github_does_not_take_is_in_the_file(hub: DevHub, go: Go, place: Place, downloaded: Path) -> None:
    hub.faults.fail_next("PATCH", r"/app/hook/config$", status=404)
    person = Person(*AS_IT_IS, str(hub.app.id), str(downloaded))
    go(person)
    assert "GitHub did not take the webhook's address and secret (GitHub answered 404)" in person.said
    assert f"what stands behind GITHUB_WEBHOOK_SECRET= in {place.env_file}" in person.said
    assert envfile.read(place.env_file)["GITHUB_WEBHOOK_SECRET"] not in person.said


def test_it_waits_for_the_installation(hub: DevHub, go: Go, downloaded: Path) -> None:
    faces = hub.create_repository("acme", "faces", installed=False)
    answers = (*AS_IT_IS, str(hub.app.id), str(downloaded))
    person = Person(*answers, when_waiting=lambda: hub.install("acme", [faces]))
    go(person, waits=True)
    assert "Waiting until it is installed (Ctrl-C: later)…\nInstalled on acme (selected repositories)." in person.said


def test_where_it_is_installed_there_is_nothing_to_wait_for(hub: DevHub, go: Go, downloaded: Path) -> None:
    hub.install("devhub")
    person = Person(*AS_IT_IS, str(hub.app.id), str(downloaded))
    go(person, waits=True)
    assert "Waiting" not in person.said
    assert "Installed on devhub (all repositories)." in person.said


def test_who_does_not_want_to_wait(hub: DevHub, go: Go, downloaded: Path) -> None:
    def ctrl_c() -> None:
        raise KeyboardInterrupt

    person = Person(*AS_IT_IS, str(hub.app.id), str(downloaded), when_waiting=ctrl_c)
    go(person, waits=True)
    assert "Not installed yet; do it when you like." in person.said
    assert "Next:" in person.said
