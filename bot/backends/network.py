"""A way out for an attempt's private network: slirp4netns, which makes the run's connections as its own.

It stays in the machine's own network, mounts and users, so it is started before its starter moves (`namespaces`), and
begins only afterwards. It lives as long as its starter, however that ends: the kernel kills it with its parent, and a
pipe that nobody holds open any more tells it to go.
"""

import contextlib
import os
import select
import socket
import struct
import subprocess

from bot.backends import processes

PRIVATE, NONE, SHARED = "private", "none", "shared"
"""The networks of an attempt: its own with a way out, its own without one, the machine's."""
_RESOLVER = "10.0.2.3"
"""slirp's own address for this machine's first name server, which may listen on the machine's loopback only."""
_OPTIONS = ("--configure", "--mtu=65520", "--disable-host-loopback", "--enable-sandbox", "--enable-seccomp")
_WHEN_TOLD = 'read -r _ || exit 1; exec "$@" </dev/null'
_PATIENCE = 10.0
_LINK_LOCAL = ("169.254.0.0", 16)
_RTM_NEWROUTE, _REQUEST, _ACK, _CREATE = 24, 1, 4, 0x400  # linux/rtnetlink.h, linux/netlink.h
_TABLE_MAIN, _PROTOCOL_STATIC, _UNREACHABLE, _DESTINATION = 254, 4, 7, 1
_HEADER, _ROUTE, _ADDRESS, _ANSWER = (struct.Struct(form) for form in ("=IHHII", "=BBBBBBBBI", "=HH4s", "=16xi"))


class NetworkError(Exception):
    """The private network could not be connected; the message says what slirp4netns said."""


class Nat:
    """The way out, waiting. Make it, then `namespaces.enter(network=True, …)`, then `connect`; at the end `close`.

    `slirp` is the program's absolute path; the caller has one thread. `ended` is a descriptor that becomes readable
    when slirp4netns ends, which before `close` is a fault. Raises OSError when nothing can be started.
    """

    def __init__(self, slirp: str) -> None:
        self._ready, ready = os.pipe2(os.O_CLOEXEC)
        alive, self._alive = os.pipe2(os.O_CLOEXEC)
        # A run can make it complain of every packet: what the pipe cannot hold is dropped, and nobody waits.
        self._words, words = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        options = (*_OPTIONS, f"--ready-fd={ready}", f"--exit-fd={alive}", str(os.getpid()), "tap0")
        try:
            self._process = subprocess.Popen(
                ["/bin/sh", "-c", _WHEN_TOLD, "sh", slirp, *options],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=words,
                env={},
                cwd="/",
                pass_fds=(ready, alive),
                preexec_fn=processes.die_with_parent,  # noqa: PLW1509 - safe: one thread
            )
        finally:
            for descriptor in (ready, alive, words):
                os.close(descriptor)
        self.ended = os.pidfd_open(self._process.pid)

    @property
    def pid(self) -> int:
        """Return its process, for the list of those that must be gone at the end."""
        return self._process.pid

    def connect(self) -> None:
        """Give the network that this process is in by now its way out; return when it is there.

        Link-local addresses are closed, since there the metadata services of clouds hand out the machine's own
        credentials. Raises NetworkError.
        """
        try:
            _close_off(*_LINK_LOCAL)
            self._tell()
        except OSError as error:
            raise NetworkError(f"the private network cannot be set up: {error}{self._last_words()}") from error
        if not select.select([self._ready], [], [], _PATIENCE)[0]:
            raise NetworkError(f"slirp4netns was not ready within {_PATIENCE:g} s{self._last_words()}")
        if not os.read(self._ready, 1):
            self._process.wait()
            raise NetworkError(f"slirp4netns gives no network{self._last_words()}")

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()
        if self._process.stdin is not None:
            self._process.stdin.close()
        for descriptor in (self._ready, self._alive, self._words, self.ended):
            os.close(descriptor)

    def _tell(self) -> None:
        if self._process.stdin is not None:
            with self._process.stdin as pipe:
                pipe.write(b"\n")

    def _last_words(self) -> str:
        with contextlib.suppress(BlockingIOError):
            words = " ".join(os.read(self._words, 1 << 16).decode(errors="replace").split())
            return f" ({words[-300:]})" if words else ""
        return ""


def resolv_conf(network: str, machines: str) -> str:
    """Return the run's /etc/resolv.conf; `machines` is what this machine's says.

    A private network asks slirp, which asks the machine's server; search domains and options stay. Without a way out
    there is nobody to ask.
    """
    if network == SHARED:
        return machines
    if network == NONE:
        return ""
    kept = [line for line in machines.splitlines() if line.split()[:1] in (["search"], ["domain"], ["options"])]
    return "\n".join([f"nameserver {_RESOLVER}", *kept, ""])


def _close_off(network: str, bits: int) -> None:
    """Make an IPv4 network unreachable in the network namespace that this process is in. Raises OSError."""
    route = _ROUTE.pack(socket.AF_INET, bits, 0, 0, _TABLE_MAIN, _PROTOCOL_STATIC, 0, _UNREACHABLE, 0)
    body = route + _ADDRESS.pack(_ADDRESS.size, _DESTINATION, socket.inet_aton(network))
    head = _HEADER.pack(_HEADER.size + len(body), _RTM_NEWROUTE, _REQUEST | _ACK | _CREATE, 1, 0)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE) as kernel:
        kernel.send(head + body)
        (error,) = _ANSWER.unpack_from(kernel.recv(4096))
    if error:
        raise OSError(-error, os.strerror(-error))
