"""Where submodules may be fetched from: a pull request writes their URLs."""

import pytest

from bot.forge.whereabouts import Refused, origin_elsewhere, resolve

GITHUB = "https://github.example"
PARENT = f"{GITHUB}/acme/digits.git"


@pytest.mark.parametrize(
    "url",
    [
        "https://github.example/acme/lib",
        "https://GitHub.example/acme/lib.git",
        "https://github.example/acme/lib/",
        "http://github.example/acme/lib",
        "git://github.example/acme/lib",
        "git@github.example:acme/lib.git",
        "ssh://git@github.example/acme/lib.git",
        "ssh://git@github.example:22/acme/lib.git",
        "../lib",
        "../lib.git",
        "../../acme/./lib",
    ],
)
def test_however_it_is_written_our_own_github_is_asked_by_https(url: str) -> None:
    where = resolve(url, PARENT, GITHUB)
    assert (where.url, where.is_ours) == (f"{GITHUB}/acme/lib.git", True)
    assert where.repository == ("acme", "lib")


def test_another_host_is_asked_by_https_alone() -> None:
    where = resolve("https://Git.example:8443/group/deep/lib.git", PARENT, GITHUB)
    assert (where.url, where.is_ours) == ("https://git.example:8443/group/deep/lib.git", False)
    assert where.repository is None
    assert resolve("../other", where.url, GITHUB).url == "https://git.example:8443/group/deep/other"


@pytest.mark.parametrize(
    "url",
    [
        "http://git.example/lib",
        "ssh://git@git.example/lib",
        "git@git.example:lib",
        "file:///etc",
        "/etc",
        "ext::sh -c id",
        "ext::id",
        "--upload-pack=id",
        "https://github.example:8443@evil.example/acme/lib",
        "https://user@github.example/acme/lib",
        "https://user:word@git.example/lib",
        "https://git.example/lib?x=1",
        "https://git.example/lib#x",
        "https://git.example/a/../../lib",
        "https://git.example/%2e%2e/lib",
        "https://git.example/",
        "https://git.example:99999/lib",
        "https://[::1/lib",
        "https://github.example/acme",
        "https://github.example/acme/lib/more",
        "https://github.example/acme/..",
        "https://github.example./acme/lib",
        "https://0x7f.1/lib",
        "https:///lib",
        "../../../../lib",
        "./inner",
        "../../lib",
        "",
        "https://git.example/l\nib",
        "https://git.example/läb",
    ],
)
def test_nothing_else_is_asked(url: str) -> None:
    with pytest.raises(Refused):
        resolve(url, PARENT, GITHUB)


@pytest.mark.parametrize("address", ["127.0.0.1", "10.0.0.8", "169.254.169.254", "::1", "fd00::1", "::ffff:10.0.0.8"])
def test_a_name_that_leads_to_the_machines_around_the_bot_is_refused(address: str) -> None:
    with pytest.raises(Refused, match="is an address of the bot's machine or its networks"):
        origin_elsewhere("https://git.example/lib", lambda host, port: ["1.1.1.1", address])


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "localhost"])
def test_this_machine_is_no_other_host(host: str) -> None:
    with pytest.raises(Refused, match="networks"):
        origin_elsewhere(f"https://{host}/lib")


@pytest.mark.service
def test_git_asks_the_address_that_was_looked_at_and_follows_nobody() -> None:
    origin = origin_elsewhere("https://git.example:8443/lib", lambda host, port: ["1.1.1.1", "2606:4700::1111"])
    config = dict(origin.config)
    assert config.pop("http.curloptResolve") == "git.example:8443:1.1.1.1,[2606:4700::1111]"
    assert config.pop("http.followRedirects") == "false"
    assert config == {}, "no credential"
