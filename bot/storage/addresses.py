"""Where a stranger's URL may lead: to the internet, not to this machine nor to the networks around it.

A name is looked up here, once, and whoever connects is pinned to what was found: a second look-up could answer
otherwise (DNS rebinding).
"""

import ipaddress
import re
import socket

from bot.storage.errors import Refused, Unavailable

_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?")
_EMBEDDED = (ipaddress.ip_network("64:ff9b::/96"), ipaddress.ip_network("2002::/16"), ipaddress.ip_network("::/96"))
"""IPv6 networks whose addresses are somebody's IPv4 (RFC 6052, RFC 3056, RFC 4291)."""


def look_up(host: str, port: int, *, allow_private: bool) -> list[str]:
    """Return the addresses of a host, as numbers.

    Raises Refused for a name that is none, and for one of which any address is not public unless `allow_private`;
    Unavailable when it cannot be looked up.
    """
    _check_name(host)
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError):
        raise Unavailable(f"the name {host} cannot be looked up") from None
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    if not allow_private and not all(is_public(address) for address in addresses):
        raise Refused(f"{host} is an address of this machine or its networks, which a workspace must not come from")
    return addresses


def is_public(address: str) -> bool:
    """Tell whether an address, as numbers, belongs to the internet at large."""
    try:
        number = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(number, ipaddress.IPv6Address):
        if number.ipv4_mapped is not None:
            number = number.ipv4_mapped
        elif any(number in network for network in _EMBEDDED):
            return False
    return number.is_global and not number.is_multicast


def _check_name(host: str) -> None:
    """Refuse what is no host, and numbers in forms that one program reads so and another so (0x7f.1, 010.0.0.1)."""
    is_number = host[:1] == "[" or ":" in host or host.rpartition(".")[2][:1].isdigit()
    try:
        if is_number:
            ipaddress.ip_address(host)
        elif not _HOST.fullmatch(host):
            raise ValueError
    except ValueError:
        raise Refused("its URL names no host") from None
