"""What a machine can give, and what an attempt gets of it."""

import json
from pathlib import Path

import pytest

from bot.backends.base import BackendUnavailable
from bot.backends.powers import Powers, choose, probe

ALL = Powers(own_network=True, overlay=True, slirp="/usr/bin/slirp4netns")
NO_WAY_OUT = Powers(own_network=True, overlay=True, no_nat="slirp4netns is missing. Install it")
NOTHING = Powers()


@pytest.mark.parametrize(
    ("setting", "powers", "network"),
    [
        ("auto", ALL, "private"),
        ("private", ALL, "private"),
        ("shared", ALL, "shared"),
        ("auto", NO_WAY_OUT, "shared"),
        ("auto", NOTHING, "shared"),
    ],
)
def test_trusted_code_is_kept_off_the_machine_where_that_is_possible(
    setting: str, powers: Powers, network: str
) -> None:
    assert choose(setting, powers, is_trusted=True) == network


@pytest.mark.parametrize("setting", ["auto", "private", "shared"])
def test_code_that_is_not_trusted_has_no_network_or_does_not_run(setting: str) -> None:
    assert choose(setting, ALL, is_trusted=False) == "none"
    assert choose(setting, NO_WAY_OUT, is_trusted=False) == "none"
    with pytest.raises(BackendUnavailable, match="cannot be kept off the network: runs are not isolated here"):
        choose(setting, NOTHING, is_trusted=False)


def test_a_private_network_that_is_demanded_and_impossible_is_refused_with_the_cure() -> None:
    with pytest.raises(BackendUnavailable, match=r"slirp4netns is missing\. Install it; or set NETWORK=auto"):
        choose("private", NO_WAY_OUT, is_trusted=True)
    with pytest.raises(BackendUnavailable, match="runs are not isolated here"):
        choose("private", NOTHING, is_trusted=True)


def test_each_power_has_its_sentence() -> None:
    assert ALL.sentences == (
        "network: an attempt can have its own, with a way out by slirp4netns",
        "storage: a pull request writes to a layer of its own, gone afterwards",
    )
    assert NO_WAY_OUT.sentences[0] == (
        "network: an attempt can have its own, but none with a way out: slirp4netns is missing. Install it"
    )
    assert NOTHING.sentences == (
        "network: the machine's only: runs are not isolated here",
        "storage: read-only for pull requests, a layer of their own cannot be had: runs are not isolated here",
    )


def test_powers_survive_json() -> None:
    assert Powers(**json.loads(json.dumps(vars(ALL)))) == ALL


@pytest.mark.service
def test_what_was_tried_in_vain_is_named_with_the_reason_and_the_cure(tmp_path: Path) -> None:
    walls_that_fall = ["/bin/sh", "-c", "echo no walls >&2; exit 1"]
    found = probe(tmp_path, walls_that_fall)
    assert (found.own_network, found.nat) == (False, False)
    assert found.no_nat.startswith(found.no_network.partition(". ")[0])

    found = probe(tmp_path / "nowhere", ["/bin/true"], slirp="no-such-slirp")
    assert (found.nat, found.overlay) == (False, False)
    assert "No such file or directory" in found.no_overlay
    assert "Keep DATA_DIR on a file system" in found.no_overlay
    assert list(tmp_path.iterdir()) == []


@pytest.mark.service
def test_a_program_that_gives_no_network_is_no_way_out(tmp_path: Path) -> None:
    fake = tmp_path / "slirp"
    fake.write_text("#!/bin/sh\necho the tunnel is closed >&2\nexit 1\n")
    fake.chmod(0o755)
    found = probe(tmp_path, ["/bin/true"], slirp=str(fake))
    if not found.own_network:
        pytest.skip(found.no_network)
    assert "the tunnel is closed" in found.no_nat
    assert "Install slirp4netns" in found.no_nat
    assert [path.name for path in tmp_path.iterdir()] == ["slirp"]
