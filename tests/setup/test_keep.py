"""How key and settings are written: for nobody else's eyes, whole, and over nothing that is there."""

import os
import stat
import threading
from pathlib import Path

import pytest

from bot import envfile
from bot.devhub.auth import key_pair
from bot.setup.answers import Answers, GitHub
from bot.setup.keep import CannotKeep, Place, keep, prepare

PEM = key_pair()[0]
ANSWERS = Answers(GitHub(), "CI", None, "https://ci.example.com", True)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path / "bot" / "experiment-ci.env")


def store(place: Place, answers: Answers = ANSWERS, pem: str = PEM) -> Path:
    prepare(place)
    return keep(place, answers, 7, pem, "s3cret")


def modes(folder: Path) -> dict[str, int]:
    return {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o777])
def test_whatever_the_umask_nobody_else_can_read_it(place: Place, umask: int) -> None:
    before = os.umask(0)
    os.umask(umask if umask != 0o777 else 0)
    try:
        prepare(place)
        os.umask(umask)
        key = keep(place, ANSWERS, 7, PEM, "s3cret")
    finally:
        os.umask(before)
    assert stat.S_IMODE(place.env_file.parent.stat().st_mode) == 0o700
    assert modes(place.env_file.parent) == {key.name: 0o600, "experiment-ci.env": 0o600}
    assert key.read_text() == PEM


def test_at_no_moment_can_anybody_else_read_it(place: Place) -> None:
    """Somebody looks at the directory as fast as they can, while it is written again and again."""
    folder, seen, is_over = place.env_file.parent, set(), threading.Event()
    prepare(place)
    folder.chmod(0o755)

    def look() -> None:
        while not is_over.is_set():
            for entry in os.scandir(folder):
                try:
                    seen.add(stat.S_IMODE(entry.stat().st_mode))
                except FileNotFoundError:
                    continue

    before, watcher = os.umask(0), threading.Thread(target=look)
    watcher.start()
    try:
        for number in range(1, 60):
            keep(Place(place.env_file, may_replace=True), ANSWERS, number, PEM, "s3cret")
    finally:
        is_over.set()
        watcher.join()
        os.umask(before)
    assert seen == {0o600}


def test_settings_that_are_there_stay(place: Place) -> None:
    store(place)
    kept = place.env_file.read_bytes()
    with pytest.raises(CannotKeep, match=r"is there already\. --force"):
        prepare(place)
    with pytest.raises(CannotKeep, match=r"The key is in .*something else in it"):
        keep(place, ANSWERS.polling(), 7, PEM, "s3cret")
    assert place.env_file.read_bytes() == kept
    assert sorted(modes(place.env_file.parent)) == ["experiment-ci.env", "github-app-7.pem"], "no draft is left"


def test_the_same_once_more_is_well(place: Place) -> None:
    key = store(place)
    key.chmod(0o644)
    assert keep(place, ANSWERS, 7, PEM, "s3cret") == key
    assert modes(place.env_file.parent) == {key.name: 0o600, "experiment-ci.env": 0o600}


def test_another_key_of_the_same_app_is_no_reason_to_lose_one(place: Place) -> None:
    key = store(place)
    place.env_file.unlink()
    with pytest.raises(CannotKeep, match="with something else in it; --force replaces it"):
        store(place, pem="another")
    assert key.read_text() == PEM
    store(Place(place.env_file, may_replace=True), pem="another")
    assert key.read_text() == "another\n"


def test_by_force_the_apps_settings_are_replaced_and_the_others_stay(place: Place) -> None:
    place.env_file.parent.mkdir()
    place.env_file.write_text(
        "# mine\nMACHINES_FILE=/m.yaml\nGITHUB_APP_ID=1\nGITHUB_PRIVATE_KEY='old'\nINTAKE=poll\nGITHUB_WEB_URL=x\n"
    )
    place.env_file.chmod(0o600)
    key = store(Place(place.env_file, may_replace=True))
    assert place.env_file.read_text() == (
        "# mine\n"
        "MACHINES_FILE=/m.yaml\n"
        "GITHUB_APP_ID=7\n"
        f"GITHUB_PRIVATE_KEY_PATH={key}\n"
        "GITHUB_WEBHOOK_SECRET=s3cret\n"
        "PUBLIC_URL=https://ci.example.com\n"
    )


def test_by_force_nothing_is_replaced_that_was_not_read(place: Place) -> None:
    place.env_file.parent.mkdir()
    place.env_file.write_text("MACHINES_FILE=/m.yaml\n")
    place.env_file.chmod(0o644)
    with pytest.raises(CannotKeep, match=r"chmod 600 it\. Mend or remove it first"):
        prepare(Place(place.env_file, may_replace=True))


def test_a_link_in_the_place_of_settings_is_not_written_through(place: Place, tmp_path: Path) -> None:
    prepare(place)
    (tmp_path / "precious").write_text("precious")
    place.env_file.symlink_to(tmp_path / "precious")
    place.key_file(7).symlink_to(tmp_path / "precious")
    with pytest.raises(CannotKeep):
        keep(place, ANSWERS, 7, PEM, "s3cret")
    assert (tmp_path / "precious").read_text() == "precious"


def test_a_directory_that_cannot_be_written_is_told_before_anything_is_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for folder, why in ((tmp_path / "file", "File exists|Not a directory"), (Path("/proc/nowhere"), ".*")):
        with pytest.raises(CannotKeep, match=f"{folder} cannot be written: ({why})\\. --env-file names another place"):
            prepare(Place(folder / "experiment-ci.env"))


def test_a_place_whose_name_no_line_can_hold(tmp_path: Path) -> None:
    place = Place(tmp_path / "it's" / "experiment-ci.env")
    with pytest.raises(CannotKeep, match="GITHUB_PRIVATE_KEY_PATH cannot stand in an env file"):
        store(place)
    spaced = Place(tmp_path / "my bot" / "experiment-ci.env")
    key = store(spaced)
    assert envfile.read(spaced.env_file)["GITHUB_PRIVATE_KEY_PATH"] == str(key)


@pytest.mark.parametrize(
    ("github", "said"),
    [
        (GitHub(), {}),
        (
            GitHub("https://ghe.example/api/v3", "https://ghe.example"),
            {"GITHUB_API_URL": "https://ghe.example/api/v3"},
        ),
        (
            GitHub("https://api.acme.ghe.com", "https://acme.ghe.com"),
            {"GITHUB_API_URL": "https://api.acme.ghe.com", "GITHUB_WEB_URL": "https://acme.ghe.com"},
        ),
    ],
)
def test_which_github_it_is(place: Place, github: GitHub, said: dict[str, str]) -> None:
    store(place, Answers(github, "CI", None, "https://ci.example.com", True))
    kept = envfile.read(place.env_file)
    assert {name: value for name, value in kept.items() if name in ("GITHUB_API_URL", "GITHUB_WEB_URL")} == said
