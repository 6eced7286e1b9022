"""Where a stranger's URL may lead: to the internet, not to this machine nor to the networks around it.

A name is looked up here, once, and whoever connects is pinned to what was found: a second look-up could answer
otherwise (DNS rebinding).
"""

import socket

from bot.core.addresses import is_host, is_public
from bot.storage.errors import Refused, Unavailable


def look_up(host: str, port: int, *, allow_private: bool) -> list[str]:
    """Return the addresses of a host, as numbers.

    Raises Refused for a name that is none, and for one of which any address is not public unless `allow_private`;
    Unavailable when it cannot be looked up.
    """
    if not is_host(host):
        raise Refused("its URL names no host")
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError):
        raise Unavailable(f"the name {host} cannot be looked up") from None
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    if not allow_private and not all(is_public(address) for address in addresses):
        raise Refused(f"{host} is an address of this machine or its networks, which a workspace must not come from")
    return addresses
