"""The settings: read once from the environment (12-factor). A missing or malformed one stops the start.

docs/settings.md explains each; `README.md` says how to get those that GitHub gives.
"""

import ipaddress
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from bot.core.permission import Permission
from bot.vault import KeyMalformed, Vault

BACKENDS = ("local",)
IMAGES = ("auto", "public", "off")
NETWORKS = ("auto", "private", "shared")
ENGINES = ("none", "podman", "docker")
UNUSED_IMAGES = ("say", "refuse")
INTAKES = ("webhook", "poll")
_COMMAND_ROLES = tuple(str(role) for role in Permission if role is not Permission.NONE)
_PRIVATE_NAMES = (".local", ".localhost", ".internal", ".lan", ".home.arpa", ".test")
_URL = re.compile(r"https?://[A-Za-z0-9._~%:\[\]/!$&()*+,;=-]+")
_ARCHIVE = re.compile(r"s3://[A-Za-z0-9][A-Za-z0-9._-]{1,61}[A-Za-z0-9](/[A-Za-z0-9!_.*'()/-]*)?")
_SECRETS = ("GITHUB_PRIVATE_KEY", "GITHUB_WEBHOOK_SECRET", "SECRETS_KEY", "ARCHIVE_SECRET_ACCESS_KEY")
_ARCHIVE_KEYS = ("ARCHIVE_ENDPOINT_URL", "ARCHIVE_ACCESS_KEY_ID", "ARCHIVE_SECRET_ACCESS_KEY")


class SettingsError(Exception):
    """One sentence for each setting that is missing or malformed, ready for the terminal."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass(frozen=True)
class Archive:
    """The bucket that artifacts and models are put into. `endpoint_url` None is AWS."""

    url: str
    endpoint_url: str | None
    access_key_id: str
    secret_access_key: str = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class Running:
    """How experiments are run on this machine, whoever asks for them."""

    data_dir: Path
    machines_file: Path | None = None
    network: str = "auto"
    containers: str = "none"
    unused_images: str = "say"
    builds_images: bool = False
    allow_unisolated_trusted_code: bool = False
    retention_days: int = 90
    keep_workspaces_days: int = 3
    s3_endpoint_url: str | None = None
    s3_region: str = "us-east-1"
    dataset_cache_gb: int = 100
    allow_private_sources: bool = False


@dataclass(frozen=True, kw_only=True)
class Settings(Running):
    """Everything the environment decides. Secrets stay out of `repr`."""

    app_id: int
    private_key: str = field(repr=False)
    private_key_path: Path | None = field(repr=False)
    webhook_secrets: tuple[str, ...] = field(repr=False)
    database_url: str = field(repr=False)
    public_url: str
    api_url: str = "https://api.github.com"
    web_url: str = "https://github.com"
    backend: str = "local"
    host: str = "127.0.0.1"
    port: int = 8080
    images: str = "auto"
    secrets_keys: tuple[str, ...] = field(default=(), repr=False)
    archive: Archive | None = None
    command_role: Permission = Permission.WRITE
    builds_drafts: bool = True
    polls: bool = False

    @property
    def has_public_address(self) -> bool:
        """Tell whether GitHub's image proxy could reach PUBLIC_URL: https, and no private or local address."""
        return self.public_url.startswith("https:") and is_public(self.public_url)

    def shows_images(self, is_private: bool) -> bool:
        """Tell whether a repository's comments may carry pictures that anybody with the URL can see."""
        if self.images == "auto":
            return self.has_public_address and not is_private
        return self.images == "public"


def is_plain_url(value: str) -> bool:
    """Tell whether this is an http(s) URL of a host and perhaps a path: nobody's password, no query, no fragment."""
    try:
        url = urlsplit(value)
        return bool(_URL.fullmatch(value)) and bool(url.hostname) and url.port != 0
    except ValueError:
        return False


def is_public(url: str) -> bool:
    """Tell whether the host of a URL may be one of the internet's: no private or local address."""
    host = (urlsplit(url).hostname or "").rstrip(".")
    try:
        return ipaddress.ip_address(host).is_global
    except ValueError:
        return "." in host and not host.endswith(_PRIVATE_NAMES)


def web_url_of(api_url: str) -> str:
    """Return where GitHub's pages are. Enterprise Server has its API below them (`https://HOST/api/v3`)."""
    api = api_url.rstrip("/")
    return api.removesuffix("/api/v3") if api.endswith("/api/v3") else "https://github.com"


def read(environ: Mapping[str, str]) -> Settings:
    """Return the settings that `environ` describes. Raises SettingsError that names all that is wrong at once."""
    return _Reader(environ).settings()


def read_running(environ: Mapping[str, str], data_dir: Path) -> Running:
    """Return how experiments are run below `data_dir`, without a GitHub. Raises SettingsError as `read` does."""
    return _Reader(environ).running(data_dir)


def forget_secrets() -> None:
    """Take the secrets out of this process's environment, so that no child process inherits them."""
    for name in _SECRETS:
        os.environ.pop(name, None)


def own_url(host: str, port: int) -> str:
    """Return where a browser on this machine finds the web process."""
    reachable = "127.0.0.1" if host in ("0.0.0.0", "::") else host  # noqa: S104 - named, not listened on
    return f"http://[{reachable}]:{port}" if ":" in reachable else f"http://{reachable}:{port}"


class _Reader:
    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._problems: list[str] = []

    def settings(self) -> Settings:
        host, port = self._text("HOST", "127.0.0.1"), self._port()
        data_dir = Path(self._text("DATA_DIR", "data")).expanduser().absolute()
        settings = Settings(
            app_id=self._app_id(),
            private_key=self._private_key(),
            private_key_path=self._private_key_path(),
            webhook_secrets=self._webhook_secrets(),
            database_url=self._text("DATABASE_URL", f"sqlite:///{data_dir / 'experiment-ci.sqlite3'}"),
            public_url=self._url("PUBLIC_URL", own_url(host, port)),
            api_url=self._url("GITHUB_API_URL", "https://api.github.com"),
            web_url=self._url("GITHUB_WEB_URL", web_url_of(self._text("GITHUB_API_URL", ""))),
            backend=self._choice("BACKEND", "local", BACKENDS),
            host=host,
            port=port,
            images=self._choice("IMAGES", "auto", IMAGES),
            secrets_keys=self._secrets_keys(),
            archive=self._archive(),
            command_role=Permission(self._choice("COMMAND_ROLE", "write", _COMMAND_ROLES)),
            builds_drafts=self._choice("DRAFTS", "run", ("run", "wait")) == "run",
            polls=self._choice("INTAKE", "webhook", INTAKES) == "poll",
            **vars(self._running(data_dir)),
        )
        self._refuse()
        return settings

    def running(self, data_dir: Path) -> Running:
        running = self._running(data_dir)
        self._refuse()
        return running

    def _running(self, data_dir: Path) -> Running:
        machines = self._environ.get("MACHINES_FILE", "").strip()
        return Running(
            data_dir=data_dir,
            machines_file=Path(machines).expanduser().absolute() if machines else None,
            network=self._choice("NETWORK", "auto", NETWORKS),
            containers=self._containers(),
            unused_images=self._choice("UNUSED_IMAGES", "say", UNUSED_IMAGES),
            builds_images=self._switch("IMAGE_BUILDS"),
            allow_unisolated_trusted_code=self._switch("ALLOW_UNISOLATED_TRUSTED_CODE"),
            retention_days=self._days("RETENTION_DAYS", "90"),
            keep_workspaces_days=self._days("KEEP_WORKSPACES_DAYS", "3"),
            s3_endpoint_url=self._optional_url("S3_ENDPOINT_URL"),
            s3_region=self._text("S3_REGION", "us-east-1"),
            dataset_cache_gb=self._gigabytes("DATASET_CACHE_GB", "100"),
            allow_private_sources=self._switch("ALLOW_PRIVATE_SOURCES"),
        )

    def _refuse(self) -> None:
        if self._problems:
            raise SettingsError(self._problems)

    def _text(self, name: str, default: str) -> str:
        return self._environ.get(name, "").strip() or default

    def _app_id(self) -> int:
        value = self._environ.get("GITHUB_APP_ID", "").strip()
        if not value:
            self._problems.append(
                "GITHUB_APP_ID is missing: it is the number called “App ID” on your GitHub App's settings page."
            )
        elif not re.fullmatch("[1-9][0-9]{0,17}", value):
            self._problems.append(
                f"GITHUB_APP_ID must be a number such as 123456, not {value[:60]!r} (the client ID will not do)."
            )
        else:
            return int(value)
        return 0

    def _private_key(self) -> str:
        text = self._environ.get("GITHUB_PRIVATE_KEY", "").strip()
        path = self._environ.get("GITHUB_PRIVATE_KEY_PATH", "").strip()
        how = "generate one on your GitHub App's settings page under “Private keys”"
        if text:
            # Many hosting panels keep variables on one line; `\n` is how a PEM is written there.
            return self._checked_key(text.replace("\\n", "\n"), "GITHUB_PRIVATE_KEY", how)
        if not path:
            self._problems.append(
                f"GITHUB_PRIVATE_KEY_PATH (or GITHUB_PRIVATE_KEY) is missing: {how} and give the .pem file's path."
            )
            return ""
        try:
            return self._checked_key(Path(path).expanduser().read_text(), "GITHUB_PRIVATE_KEY_PATH", how)
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is no text"
            self._problems.append(f"GITHUB_PRIVATE_KEY_PATH cannot be read: {path}: {why}; {how}.")
            return ""

    def _private_key_path(self) -> Path | None:
        """Return where the key is read from again when GitHub refuses it: it may have been replaced."""
        path = self._environ.get("GITHUB_PRIVATE_KEY_PATH", "").strip()
        is_used = path and not self._environ.get("GITHUB_PRIVATE_KEY", "").strip()
        return Path(path).expanduser().absolute() if is_used else None

    def _checked_key(self, pem: str, name: str, how: str) -> str:
        try:
            key = load_pem_private_key(pem.encode(), password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            key = None
        if not isinstance(key, RSAPrivateKey):
            self._problems.append(f"{name} is not an RSA private key in PEM form without a passphrase: {how}.")
        return pem

    def _webhook_secrets(self) -> tuple[str, ...]:
        secrets = self._list("GITHUB_WEBHOOK_SECRET")
        if not secrets:
            self._problems.append(
                "GITHUB_WEBHOOK_SECRET is missing: choose one (`openssl rand -hex 32`) and give it here and on your"
                " GitHub App's settings page; two, separated by a comma, are both accepted while you rotate."
            )
        elif len(secrets) > 2:
            self._problems.append(
                "GITHUB_WEBHOOK_SECRET holds more than two secrets: keep the new one and the old one."
            )
        return secrets

    def _secrets_keys(self) -> tuple[str, ...]:
        keys = self._list("SECRETS_KEY")
        if len(keys) > 2:
            self._problems.append("SECRETS_KEY holds more than two keys: keep the new one and the old one.")
        try:
            if keys:
                Vault(keys)
        except KeyMalformed as error:
            self._problems.append(f"SECRETS_KEY is malformed: {error}; `openssl rand -base64 32` makes one.")
        return keys

    def _optional_url(self, name: str) -> str | None:
        return self._url(name, "") if self._text(name, "") else None

    def _gigabytes(self, name: str, default: str) -> int:
        value = self._text(name, default)
        if re.fullmatch("[1-9][0-9]{0,6}", value):
            return int(value)
        self._problems.append(f"{name} must be a number of gigabytes, at least 1, not {value[:60]!r}.")
        return 1

    def _days(self, name: str, default: str) -> int:
        value = self._text(name, default)
        if re.fullmatch("0|[1-9][0-9]{0,4}", value):
            return int(value)
        self._problems.append(f"{name} must be a number of days, 0 for ever, not {value[:60]!r}.")
        return 0

    def _archive(self) -> Archive | None:
        url = self._text("ARCHIVE_URL", "").rstrip("/")
        endpoint = self._url("ARCHIVE_ENDPOINT_URL", "https://s3.amazonaws.com")
        key, secret = self._text("ARCHIVE_ACCESS_KEY_ID", ""), self._text("ARCHIVE_SECRET_ACCESS_KEY", "")
        given = [name for name in _ARCHIVE_KEYS if self._text(name, "")]
        if not url:
            if given:
                self._problems.append(f"{given[0]} is set but ARCHIVE_URL is not: give the bucket, s3://bucket/prefix.")
            return None
        if not _ARCHIVE.fullmatch(url) or "//" in url.removeprefix("s3://"):
            self._problems.append(f"ARCHIVE_URL must be of the form s3://bucket/prefix, not {url[:60]!r}.")
        if not (key and secret):
            self._problems.append("ARCHIVE_URL needs ARCHIVE_ACCESS_KEY_ID and ARCHIVE_SECRET_ACCESS_KEY.")
        return Archive(url, endpoint if "ARCHIVE_ENDPOINT_URL" in given else None, key, secret)

    def _list(self, name: str) -> tuple[str, ...]:
        return tuple(part.strip() for part in self._environ.get(name, "").split(",") if part.strip())

    def _url(self, name: str, default: str) -> str:
        value = self._text(name, default).rstrip("/")
        if not is_plain_url(value):
            given = "" if "@" in value else f", not {value!r}"  # what stands before an @ may be a password
            self._problems.append(f"{name} must be a plain http(s) URL such as {default}{given}.")
        return value

    def _port(self) -> int:
        value = self._text("PORT", "8080")
        if re.fullmatch("[1-9][0-9]{0,4}", value) and int(value) < 65536:
            return int(value)
        self._problems.append(f"PORT must be a number from 1 to 65535, not {value[:60]!r}.")
        return 8080

    def _choice(self, name: str, default: str, allowed: tuple[str, ...]) -> str:
        value = self._text(name, default)
        if value not in allowed:
            self._problems.append(f"{name} must be one of {', '.join(allowed)}, not {value!r}.")
        return value

    def _containers(self) -> str:
        value = self._text("CONTAINERS", "none")
        if value not in ENGINES and not Path(value).is_absolute():
            allowed = ", ".join(ENGINES)
            self._problems.append(f"CONTAINERS must be one of {allowed}, or the absolute path of one, not {value!r}.")
        return value

    def _switch(self, name: str) -> bool:
        value = self._text(name, "no").lower()
        if value not in ("yes", "no"):
            self._problems.append(f"{name} must be yes or no, not {value!r}.")
        return value == "yes"
