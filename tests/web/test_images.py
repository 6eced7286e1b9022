"""Pictures under unguessable names."""

from pathlib import Path

import pytest

from tests.web.stage import Stage

NAME = "ab" * 32 + ".png"
PNG = b"\x89PNG\r\n\x1a\n and so on"


@pytest.fixture
def folder(stage: Stage) -> Path:
    folder = stage.data_dir / "images"
    folder.mkdir()
    return folder


def test_whoever_knows_the_name_sees_the_picture_and_may_keep_it(stage: Stage, folder: Path) -> None:
    (folder / NAME).write_bytes(PNG)

    answer = stage.get(f"/images/{NAME}")

    assert answer.data == PNG
    assert answer.headers["Content-Type"] == "image/png"
    assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_an_absent_one_is_not_there_and_not_kept(stage: Stage, folder: Path) -> None:
    answer = stage.get(f"/images/{NAME}")

    assert answer.status_code == 404
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    "name",
    [
        "",
        "a.png",
        NAME.upper(),
        NAME + "\n",
        NAME.replace(".png", ".svg"),
        "../" + NAME,
        "..%2f" + NAME,
        "x" * 64 + ".png",
    ],
)
def test_no_other_name_is_looked_for(stage: Stage, folder: Path, name: str) -> None:
    for other in (stage.data_dir / NAME, folder / name.replace("/", "_").replace("\n", "_").strip() / "x"):
        other.parent.mkdir(exist_ok=True)
        other.write_bytes(PNG)

    assert stage.get(f"/images/{name}").status_code == 404


def test_a_link_is_not_followed(stage: Stage, folder: Path) -> None:
    secret = stage.data_dir / "secret"
    secret.write_text("the private key")
    (folder / NAME).symlink_to(secret)

    assert stage.get(f"/images/{NAME}").status_code == 404
