"""A supervisor in miniature: executes lines of Python in the namespaces that its order names.

    python -S -P miniature.py '{"network": "private", "slirp": "/usr/bin/slirp4netns", …}' 'say(…)'

With `machine` (a directory) it begins on a machine of its own, so that the real one's network is not in the way: that
has the address 192.0.2.1 beside its loopback, a service on both, one on the loopback only, one at an abstract socket,
and a name server on 127.0.0.53.
"""

import contextlib
import fcntl
import json
import os
import socket
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

from bot.backends import namespaces
from bot.backends.network import Nat
from bot.backends.sandbox import Sandbox, change_user, walls

PORT, NAME_SERVER, PUBLIC = 8080, "127.0.0.53", "192.0.2.1"
ABSTRACT = "\0a service of the machine"
_PATIENCE = 2.0


def say(**words: object) -> None:
    print(json.dumps(words), flush=True)  # noqa: T201 - this is how it speaks


def answers(family: int, address: object) -> bool:
    with socket.socket(family, socket.SOCK_STREAM) as client, contextlib.suppress(OSError):
        client.settimeout(_PATIENCE)
        client.connect(address)  # type: ignore[arg-type]
        return client.recv(9) == b"here"
    return False


def reaches(host: str, port: int = PORT) -> bool:
    return answers(socket.AF_INET, (host, port))


def reaches_abstract() -> bool:
    return answers(socket.AF_UNIX, ABSTRACT)


def asks(host: str) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client, contextlib.suppress(OSError):
        client.settimeout(_PATIENCE)
        client.connect((host, 53))
        client.send(b"who?")
        return client.recv(9) == b"me"
    return False


def has_route(host: str) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client, contextlib.suppress(OSError):
        client.connect((host, 53))
        return True
    return False


def sandboxed(command: str, *places: str) -> str:
    """Run a command behind the walls of a run, with the nobody of a root bot, and return what it says."""
    who = Sandbox("bwrap") if os.getuid() else Sandbox("bwrap", 65534, 65534)
    argv = ["bwrap", *walls(who), *places, "--", *change_user(who), "/bin/sh", "-c", command]
    return subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, text=True).stdout


def build_machine(place: Path) -> None:
    """Become a process of a machine with nothing but the services below."""
    (place / "resolv.conf").write_text(f"nameserver {NAME_SERVER}\n")
    with namespaces.enter(network=True, mounts=True):
        subprocess.run(["mount", "--bind", place / "resolv.conf", Path("/etc/resolv.conf").resolve()], check=True)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
            address = struct.pack("16sHH4s16x", b"lo:1", socket.AF_INET, 0, socket.inet_aton(PUBLIC))
            fcntl.ioctl(any_socket, 0x8916, address)  # SIOCSIFADDR
        reader, writer = os.pipe()
        if os.fork() == 0:
            os.close(reader)
            serve(writer)
        os.close(writer)
        os.read(reader, 1)


def serve(ready: int) -> None:
    """Be the machine's services, for as long as anybody is there to ask."""
    tcp = socket.create_server(("0.0.0.0", PORT))  # noqa: S104 - a network of one machine
    local = socket.create_server(("127.0.0.1", PORT + 1))
    unix = socket.socket(socket.AF_UNIX)
    unix.bind(ABSTRACT)
    unix.listen()
    names = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    names.bind((NAME_SERVER, 53))
    for server in (tcp, local, unix):
        threading.Thread(target=answer_all, args=(server,), daemon=True).start()
    threading.Thread(target=name_all, args=(names,), daemon=True).start()
    os.write(ready, b"1")
    os.close(ready)
    parent = os.getppid()
    while os.getppid() == parent:
        time.sleep(0.05)
    os._exit(0)


def answer_all(server: socket.socket) -> None:
    while True:
        client, _ = server.accept()
        with client, contextlib.suppress(OSError):
            client.sendall(b"here")


def name_all(server: socket.socket) -> None:
    while True:
        _, client = server.recvfrom(99)
        server.sendto(b"me", client)


def main(order: dict[str, str], lines: str) -> None:
    network, storage = order.get("network", "shared"), order.get("storage")
    if "machine" in order:
        build_machine(Path(order["machine"]))
    nat = Nat(order["slirp"]) if network == "private" else None
    say(nat=None if nat is None else nat.pid)
    with namespaces.enter(network=network != "shared", mounts=storage is not None):
        if nat is not None:
            nat.connect()
        if storage is not None:
            namespaces.overlay(Path(storage), Path(order["writes"]))
    exec(lines, globals())  # noqa: S102 - the test's own
    if nat is not None:
        nat.close()


if __name__ == "__main__":
    main(json.loads(sys.argv[1]), sys.argv[2])
