"""How the URL of a repository is read, and that nothing secret stands where others could see it."""

import base64
import stat
from pathlib import Path

import pytest

from bot.storage.errors import Refused
from bot.storage.remote import Remote
from bot.storage.request import Fetch

PEM = "-----BEGIN OPENSSH PRIVATE KEY-----\nc2VjcmV0\n-----END OPENSSH PRIVATE KEY-----"


def remote(uri: str, *, allow_private: bool = False, **values: str) -> Remote:
    return Remote.parse(Fetch(uri, "", **values), allow_private=allow_private)


@pytest.mark.parametrize(
    ("uri", "scheme", "host", "port", "url"),
    [
        ("https://github.com/ada/digits", "https", "github.com", 443, "https://github.com/ada/digits"),
        ("git+https://github.com/ada/digits.git", "https", "github.com", 443, "https://github.com/ada/digits.git"),
        ("https://ada:pw@git.example:8443/d", "https", "git.example", 8443, "https://git.example:8443/d"),
        ("ssh://git@github.com/ada/digits.git", "ssh", "github.com", 22, "ssh://git@github.com/ada/digits.git"),
        ("git@github.com:ada/digits.git", "ssh", "github.com", 22, "git@github.com:ada/digits.git"),
        ("https://[2606:4700::1]/d", "https", "2606:4700::1", 443, "https://[2606:4700::1]/d"),
    ],
)
def test_a_url_is_read(uri: str, scheme: str, host: str, port: int, url: str) -> None:
    read = remote(uri)
    assert (read.scheme, read.host, read.port, read.url) == (scheme, host, port, url)


@pytest.mark.parametrize(
    "uri",
    [
        *("file:///etc", "/etc", "ext::sh -c id", "git://github.com/ada/digits", "ftp://x/y", "fd::17"),
        *("http://github.com/ada/digits", "https://github.com", "https://github.com/a\nb", "https://x:port/y"),
        *("git@github.com:-x", "ssh://-oProxyCommand=x@h/y", "git@github.com:", "https://[::1/x"),
    ],
)
def test_what_else_git_would_take_is_refused(uri: str) -> None:
    with pytest.raises(Refused):
        remote(uri)


def test_plain_http_is_for_the_networks_of_whoever_allows_them() -> None:
    assert remote("http://git.internal/d", allow_private=True).port == 80


@pytest.mark.parametrize(
    ("uri", "values", "pair"),
    [
        ("https://h.example/d", {"username": "ada", "password": "s3cret"}, "ada:s3cret"),
        ("https://h.example/d", {"password": "s3cret"}, "x-access-token:s3cret"),
        ("https://ada:s3%40cret@h.example/d", {}, "ada:s3@cret"),
        ("https://s3cret@h.example/d", {}, "s3cret:"),
    ],
)
def test_credentials_go_to_their_server_only_and_nowhere_into_the_url(
    uri: str, values: dict[str, str], pair: str
) -> None:
    with remote(uri, **values).access(["1.2.3.4"]) as environment:
        header = base64.b64encode(pair.encode()).decode()
        assert environment == {
            "GIT_ALLOW_PROTOCOL": "https",
            "GIT_CONFIG_COUNT": "3",
            "GIT_CONFIG_KEY_0": "remote.origin.url",
            "GIT_CONFIG_VALUE_0": "https://h.example/d",
            "GIT_CONFIG_KEY_1": "http.curloptResolve",
            "GIT_CONFIG_VALUE_1": "h.example:443:1.2.3.4",
            "GIT_CONFIG_KEY_2": "http.https://h.example/.extraHeader",
            "GIT_CONFIG_VALUE_2": f"Authorization: Basic {header}",
        }
    assert "s3" not in repr(remote(uri, **values))
    assert header in Fetch(uri, "", **values).secrets


def test_ssh_gets_a_key_that_is_on_no_disk_and_the_address_that_was_found() -> None:
    with remote("ssh://git@h.example:2222/d", password=PEM).access(["2606:4700::1"]) as environment:
        command = environment["GIT_SSH_COMMAND"]
        key = Path(command.partition("-oIdentityFile=")[2].split()[0])
        assert key.read_text() == PEM + "\n"
        assert stat.S_IMODE(key.stat().st_mode) == 0o600
        assert "-oHostName=2606:4700::1 '-oHostKeyAlias=[h.example]:2222'" in command
        assert "StrictHostKeyChecking=yes" in command
    assert not key.exists()


def test_a_password_is_nothing_for_ssh() -> None:
    with (
        pytest.raises(Refused, match="a private key"),
        remote("git@h.example:d", password="s3cret").access(["1.1.1.1"]),
    ):
        pass
