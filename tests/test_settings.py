"""The settings: what is missing or malformed is named, all at once, with the way to get it."""

import os
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from bot.settings import Archive, SettingsError, forget_secrets, read


def pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, passphrase: bytes | None = None) -> str:
    hidden = BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, hidden).decode()


RSA = rsa.generate_private_key(65537, 1024)  # noqa: S505 - signs nothing; a larger one is slow to check
KEY = pem(RSA)
REQUIRED = {
    "GITHUB_APP_ID": "123456",
    "GITHUB_PRIVATE_KEY": KEY,
    "GITHUB_WEBHOOK_SECRET": "0123456789abcdef",
}


def problems(**changed: str | None) -> list[str]:
    """Return what is said of an environment that is good but for the changes; None takes a variable away."""
    environ = {name: value for name, value in {**REQUIRED, **changed}.items() if value is not None}
    with pytest.raises(SettingsError) as caught:
        read(environ)
    return caught.value.problems


def test_three_variables_are_enough() -> None:
    settings = read(REQUIRED)

    assert (settings.app_id, settings.private_key) == (123456, KEY.strip())
    assert settings.webhook_secrets == ("0123456789abcdef",)
    assert settings.data_dir == Path("data").absolute()
    assert settings.database_url == f"sqlite:///{settings.data_dir}/experiment-ci.sqlite3"
    assert (settings.host, settings.port, settings.public_url) == ("127.0.0.1", 8080, "http://127.0.0.1:8080")
    assert (settings.api_url, settings.web_url) == ("https://api.github.com", "https://github.com")
    assert (settings.backend, settings.images, settings.machines_file) == ("local", "auto", None)
    assert settings.network == "auto"
    assert settings.allow_unisolated_trusted_code is False
    assert settings.secrets_keys == ()
    assert (settings.retention_days, settings.keep_workspaces_days, settings.archive) == (90, 3, None)


def test_every_variable_is_read(tmp_path: Path) -> None:
    settings = read(
        REQUIRED
        | {
            "GITHUB_API_URL": "https://ghe.example/api/v3/",
            "GITHUB_WEB_URL": "https://ghe.example",
            "PUBLIC_URL": "https://ml.example/ci/",
            "DATA_DIR": str(tmp_path),
            "DATABASE_URL": "postgresql://bot@db/ci",
            "HOST": "0.0.0.0",  # noqa: S104 - read, not listened on
            "PORT": "80",
            "IMAGES": "off",
            "NETWORK": "private",
            "CONTAINERS": "/opt/bin/podman",
            "UNUSED_IMAGES": "refuse",
            "MACHINES_FILE": str(tmp_path / "machines.yaml"),
            "ALLOW_UNISOLATED_TRUSTED_CODE": "Yes",
        }
    )

    assert (settings.api_url, settings.web_url) == ("https://ghe.example/api/v3", "https://ghe.example")
    assert (settings.public_url, settings.port) == ("https://ml.example/ci", 80)
    assert (settings.data_dir, settings.database_url) == (tmp_path, "postgresql://bot@db/ci")
    assert settings.machines_file == tmp_path / "machines.yaml"
    assert (settings.images, settings.network, settings.allow_unisolated_trusted_code) == ("off", "private", True)
    assert (settings.containers, settings.unused_images) == ("/opt/bin/podman", "refuse")


def test_an_empty_variable_is_one_that_is_not_set() -> None:
    settings = read(REQUIRED | dict.fromkeys(("PORT", "HOST", "DATA_DIR", "PUBLIC_URL", "IMAGES", "DATABASE_URL"), " "))

    assert settings == read(REQUIRED)


@pytest.mark.parametrize(
    ("host", "url"),
    [("0.0.0.0", "http://127.0.0.1:8080"), ("::", "http://127.0.0.1:8080"), ("::1", "http://[::1]:8080")],  # noqa: S104
)
def test_without_a_public_url_it_is_where_a_browser_here_finds_the_bot(host: str, url: str) -> None:
    assert read(REQUIRED | {"HOST": host}).public_url == url


def test_paths_may_begin_at_home() -> None:
    assert read(REQUIRED | {"DATA_DIR": "~/bot"}).data_dir == Path.home() / "bot"


# What is missing


def test_everything_that_is_missing_is_told_at_once() -> None:
    with pytest.raises(SettingsError) as caught:
        read({})

    told = caught.value.problems
    assert len(told) == 3
    for name, problem in zip(("GITHUB_APP_ID", "GITHUB_PRIVATE_KEY", "GITHUB_WEBHOOK_SECRET"), told, strict=True):
        assert problem.startswith(name)
        assert "settings page" in problem  # where it is to be had
        assert problem in str(caught.value)


@pytest.mark.parametrize("value", ["Iv1.8a61f9b3a7aba766", "-1", "1.5", "0x10", "١٢٣", "1 2", "9" * 5000, "0"])
def test_an_app_id_is_a_number(value: str) -> None:
    [problem] = problems(GITHUB_APP_ID=value)

    assert problem.startswith("GITHUB_APP_ID must be a number")
    assert len(problem) < 300


# The private key


def test_a_key_on_one_line_is_understood() -> None:
    assert read(REQUIRED | {"GITHUB_PRIVATE_KEY": KEY.strip().replace("\n", "\\n")}).private_key == KEY.strip()


def test_a_key_is_read_from_its_file(tmp_path: Path) -> None:
    path = tmp_path / "app.pem"
    path.write_text(KEY)

    assert read(REQUIRED | {"GITHUB_PRIVATE_KEY": "", "GITHUB_PRIVATE_KEY_PATH": str(path)}).private_key == KEY


def test_a_file_that_cannot_be_read_is_named_with_its_reason(tmp_path: Path) -> None:
    absent = tmp_path / "absent.pem"
    binary = tmp_path / "binary.pem"
    binary.write_bytes(b"\xff\xfe")

    for path, why in ((absent, "No such file"), (tmp_path, "Is a directory"), (binary, "no text")):
        [problem] = problems(GITHUB_PRIVATE_KEY=None, GITHUB_PRIVATE_KEY_PATH=str(path))
        assert problem.startswith(f"GITHUB_PRIVATE_KEY_PATH cannot be read: {path}: ")
        assert why in problem
        assert "Errno" not in problem


@pytest.mark.parametrize(
    "value",
    [
        "not a key",
        KEY[:200],
        pem(RSA, b"a passphrase"),
        pem(ec.generate_private_key(ec.SECP256R1())),
        KEY.replace("PRIVATE", "PUBLIC"),
    ],
    ids=["text", "torn", "with a passphrase", "another kind", "public"],
)
def test_a_key_of_another_kind_is_refused_without_being_told(value: str) -> None:
    [problem] = problems(GITHUB_PRIVATE_KEY=value)

    assert problem.startswith("GITHUB_PRIVATE_KEY is not an RSA private key")
    assert value.splitlines()[-1] not in problem


# The webhook's secrets


def test_two_secrets_are_taken_while_they_are_rotated() -> None:
    assert read(REQUIRED | {"GITHUB_WEBHOOK_SECRET": " new , old ,"}).webhook_secrets == ("new", "old")


def test_a_third_is_one_too_many() -> None:
    [problem] = problems(GITHUB_WEBHOOK_SECRET="one,two,three")

    assert "more than two" in problem
    assert "three," not in problem


def test_commas_alone_are_no_secret() -> None:
    [problem] = problems(GITHUB_WEBHOOK_SECRET=" , ")

    assert problem.startswith("GITHUB_WEBHOOK_SECRET is missing")


# The key of stored secrets


def test_a_key_and_the_one_before_it_are_taken() -> None:
    new, old = "A" * 43 + "=", "_-" * 21 + "8="
    assert read(REQUIRED | {"SECRETS_KEY": f"{new}, {old}"}).secrets_keys == (new, old)
    assert new not in repr(read(REQUIRED | {"SECRETS_KEY": new}))


@pytest.mark.parametrize("value", ["hunter2", "A" * 44, "A" * 43, f"{'A' * 43}=,hunter2"])
def test_a_malformed_key_is_refused_with_the_way_to_make_one(value: str) -> None:
    [problem] = problems(SECRETS_KEY=value)

    assert (
        problem == "SECRETS_KEY is malformed: a key is 32 random bytes in base64; `openssl rand -base64 32` makes one."
    )


def test_a_third_key_is_one_too_many() -> None:
    [problem] = problems(SECRETS_KEY=",".join(["A" * 43 + "="] * 3))

    assert "more than two" in problem


# Addresses, numbers, choices


@pytest.mark.parametrize("name", ["PUBLIC_URL", "GITHUB_API_URL", "GITHUB_WEB_URL"])
@pytest.mark.parametrize(
    "value",
    [
        "github.com",
        "ftp://github.com",
        "https://",
        "https:///path",
        "https://user:password@github.com",
        "https://:password@github.com",
        "https://github.com/?a=b",
        "https://github.com/#a",
        "https://github.com:99999",
        "https://github.com:port",
        "https://github.com:0",
        "https://[::1",
        "https://git hub.com",
        "https://github.com/a b",
        'https://github.com/"onload',
        "javascript:alert(1)",
    ],
)
def test_an_address_is_a_plain_http_one(name: str, value: str) -> None:
    [problem] = problems(**{name: value})

    assert problem.startswith(f"{name} must be a plain http(s) URL")
    assert "password" not in problem


@pytest.mark.parametrize("value", ["0", "65536", "-1", "http", "80.0", "٨٠", "9" * 5000])
def test_a_port_is_a_port(value: str) -> None:
    assert problems(PORT=value) == [f"PORT must be a number from 1 to 65535, not {value[:60]!r}."]


def test_a_choice_that_does_not_exist_is_told_with_those_that_do() -> None:
    assert problems(BACKEND="slurm", IMAGES="yes", NETWORK="none", CONTAINERS="bin/podman", UNUSED_IMAGES="no") == [
        "BACKEND must be one of local, not 'slurm'.",
        "IMAGES must be one of auto, public, off, not 'yes'.",
        "NETWORK must be one of auto, private, shared, not 'none'.",
        "CONTAINERS must be one of none, podman, docker, or the absolute path of one, not 'bin/podman'.",
        "UNUSED_IMAGES must be one of say, refuse, not 'no'.",
    ]


@pytest.mark.parametrize("value", ["1", "true", "on", "y"])
def test_a_dangerous_switch_wants_the_very_word(value: str) -> None:
    [problem] = problems(ALLOW_UNISOLATED_TRUSTED_CODE=value)

    assert "yes or no" in problem


# Secrets


def test_no_secret_stands_in_what_is_printed() -> None:
    settings = read(REQUIRED | {"DATABASE_URL": "postgresql://bot:database-password@db/ci"})

    for secret in ("0123456789abcdef", KEY.splitlines()[1], "database-password"):
        assert secret not in repr(settings)


def test_secrets_are_taken_out_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in REQUIRED.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("DATABASE_URL", "postgresql://bot:database-password@db/ci")
    monkeypatch.setenv("SECRETS_KEY", "A" * 43 + "=")
    monkeypatch.setenv("ARCHIVE_SECRET_ACCESS_KEY", "hush-hush")

    forget_secrets()

    assert {"GITHUB_PRIVATE_KEY", "GITHUB_WEBHOOK_SECRET", "SECRETS_KEY", "ARCHIVE_SECRET_ACCESS_KEY"}.isdisjoint(
        os.environ
    )
    assert os.environ["GITHUB_APP_ID"] == "123456"


# Pictures


@pytest.mark.parametrize(
    ("url", "is_public"),
    [
        ("https://ml.example.com", True),
        ("https://8.8.8.8", True),
        ("http://ml.example.com", False),
        ("https://localhost", False),
        ("https://bot", False),
        ("https://10.0.0.7", False),
        ("https://192.168.1.2:8443", False),
        ("https://127.0.0.1", False),
        ("https://[::1]", False),
        ("https://[fd00::1]", False),
        ("https://bot.local", False),
        ("https://bot.corp.internal", False),
        ("https://bot.lan", False),
        ("https://bot.localhost", False),
        ("https://bot.home.arpa", False),
        ("https://ml.example.com.", True),
        ("https://bot.LOCAL", False),
    ],
)
def test_pictures_are_shown_where_githubs_proxy_can_fetch_them(url: str, is_public: bool) -> None:
    settings = read(REQUIRED | {"PUBLIC_URL": url})

    assert settings.has_public_address is is_public
    assert settings.shows_images(is_private=False) is is_public
    assert settings.shows_images(is_private=True) is False


@pytest.mark.parametrize(("images", "shown"), [("public", True), ("off", False)])
def test_the_setting_has_the_last_word(images: str, shown: bool) -> None:
    settings = read(REQUIRED | {"IMAGES": images})

    assert settings.shows_images(is_private=True) is shown
    assert settings.shows_images(is_private=False) is shown


# What is kept


def test_an_archive_is_a_bucket_with_credentials() -> None:
    given = {"ARCHIVE_URL": "s3://kept/ci/", "ARCHIVE_ACCESS_KEY_ID": "AKIA", "ARCHIVE_SECRET_ACCESS_KEY": "hush-hush"}
    assert read(REQUIRED | given).archive == Archive("s3://kept/ci", None, "AKIA", "hush-hush")
    elsewhere = read(REQUIRED | given | {"ARCHIVE_ENDPOINT_URL": "http://127.0.0.1:9000/"})
    assert elsewhere.archive == Archive("s3://kept/ci", "http://127.0.0.1:9000", "AKIA", "hush-hush")
    assert "hush-hush" not in repr(elsewhere)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"ARCHIVE_URL": "kept"}, "ARCHIVE_URL must be of the form s3://bucket/prefix"),
        ({"ARCHIVE_URL": "s3://"}, "ARCHIVE_URL must be of the form s3://bucket/prefix"),
        ({"ARCHIVE_URL": "s3://kept/a//b"}, "ARCHIVE_URL must be of the form s3://bucket/prefix"),
        ({"ARCHIVE_URL": "s3://kept", "ARCHIVE_ACCESS_KEY_ID": ""}, "ARCHIVE_URL needs ARCHIVE_ACCESS_KEY_ID and"),
        ({"ARCHIVE_URL": ""}, "ARCHIVE_ACCESS_KEY_ID is set but ARCHIVE_URL is not"),
        ({"RETENTION_DAYS": "-1"}, "RETENTION_DAYS must be a number of days, 0 for ever"),
        ({"KEEP_WORKSPACES_DAYS": "soon"}, "KEEP_WORKSPACES_DAYS must be a number of days"),
    ],
)
def test_what_is_wrong_about_keeping_is_told(given: dict[str, str], told: str) -> None:
    whole = {"ARCHIVE_URL": "s3://kept", "ARCHIVE_ACCESS_KEY_ID": "AKIA", "ARCHIVE_SECRET_ACCESS_KEY": "hush-hush"}
    [problem] = problems(**(whole | given))
    assert told in problem
    assert "hush" not in problem
