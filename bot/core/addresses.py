"""Which addresses belong to the internet at large, and which to a machine or the networks around it."""

import ipaddress
import re

_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?")
_EMBEDDED = (ipaddress.ip_network("64:ff9b::/96"), ipaddress.ip_network("2002::/16"), ipaddress.ip_network("::/96"))
"""IPv6 networks whose addresses are somebody's IPv4 (RFC 6052, RFC 3056, RFC 4291)."""


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


def is_number(host: str) -> bool:
    """Tell whether a host is meant as numbers, and not as a name to be looked up."""
    return host[:1] == "[" or ":" in host or host.rpartition(".")[2][:1].isdigit()


def is_host(host: str) -> bool:
    """Tell whether it is one; numbers that one program reads so and another so (0x7f.1, 010.0.0.1) are none."""
    if not is_number(host):
        return _HOST.fullmatch(host) is not None
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
