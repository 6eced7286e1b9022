"""Where a stranger's URL may lead."""

import pytest

from bot.core.addresses import is_public
from bot.storage.addresses import look_up
from bot.storage.errors import Refused, Unavailable


@pytest.mark.parametrize("address", ["140.82.121.3", "1.1.1.1", "2606:4700:4700::1111", "::ffff:1.1.1.1"])
def test_the_internet_is_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "127.8.8.8", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254"),  # noqa: S104
        *("100.64.0.1", "224.0.0.1", "255.255.255.255", "198.18.0.1", "192.0.2.1"),
        *("::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "ff02::1"),
        *("::ffff:127.0.0.1", "::127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "localhost"),
    ],
)
def test_this_machine_and_its_networks_are_not(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "169.254.169.254", "localhost"])
def test_a_host_that_is_not_public_is_looked_up_only_when_allowed(host: str) -> None:
    with pytest.raises(Refused, match="of this machine or its networks"):
        look_up(host, 443, allow_private=False)
    assert look_up(host, 443, allow_private=True)


@pytest.mark.parametrize(
    "host", ["", "0x7f.1", "127.1", "010.0.0.1", "2130706433", "-oProxyCommand=x", "a b", "a_b/c", "[::1]"]
)
def test_what_is_no_host_or_a_number_in_disguise_is_refused(host: str) -> None:
    with pytest.raises(Refused, match="names no host"):
        look_up(host, 443, allow_private=True)


def test_a_name_that_nobody_knows_is_no_fault_of_the_user() -> None:
    with pytest.raises(Unavailable, match="cannot be looked up"):
        look_up("nowhere.invalid", 443, allow_private=False)
