"""The process that touches what runs wrote: `python -m bot.metrics.child`, a socket on descriptor 0.

It may be killed at any moment and keeps nothing between two requests. A request is a line of JSON; open folders
come beside it as descriptors, so that the process needs no path and may run as another user. An answer is a line
of JSON: what was asked for, or `{"error": …}`. An empty line comes first of all: the process is ready.
"""

import codecs
import json
import os
import resource
import socket
import sys
from collections.abc import Callable
from typing import Any

from bot.clock import SystemClock
from bot.metrics.panels import Panel
from bot.metrics.scan import Cursor, Place, Scan
from bot.metrics.searches import SearchPicture

MEMORY = 2 << 30
"""Bytes of address space: matplotlib and numpy reserve about 0.4 GiB before they do anything."""

LARGEST_OUTPUT = 16 << 20
"""Bytes of a file: matplotlib writes a list of fonts, and nothing else is ever written."""

SLICE = 1.0
"""Seconds after which a reading stops and hands over what it has: the way so far is then never lost."""

MOST_PLACES = 8

READY = b"\n"


def main() -> None:
    """Serve until the other side of the socket is closed."""
    if len(sys.argv) > 1:
        _change_user(int(sys.argv[1]))
    _limit()
    with socket.socket(fileno=0) as connection:
        connection.sendall(READY)
        while request := _receive(connection):
            descriptors, line = request
            try:
                answer = _answer(json.loads(line), descriptors)
            except Exception as error:  # every accident of hostile input is an answer, and the process stays
                answer = {"error": f"{type(error).__name__}: {error}"[:300]}
            finally:
                for descriptor in descriptors:
                    os.close(descriptor)
            connection.sendall(json.dumps(answer, allow_nan=False).encode() + b"\n")


def _limit() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_FSIZE, (LARGEST_OUTPUT, LARGEST_OUTPUT))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _change_user(user: int) -> None:
    # Before that, load all that a picture or a document needs: the installation may be unreadable to the other user,
    # and Python looks for a codec only when it is first used.
    from bot.metrics import drawing, importance  # noqa: PLC0415

    drawing.render("", [])
    importance.warm_up()
    codecs.lookup("utf-8-sig")
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)


def _receive(connection: socket.socket) -> tuple[list[int], bytes] | None:
    """Return the descriptors and the line of the next request, None at the end."""
    line, descriptors, _, _ = socket.recv_fds(connection, 1 << 16, MOST_PLACES)
    while line and not line.endswith(b"\n"):
        more = connection.recv(1 << 16)
        if not more:
            return None
        line += more
    return (descriptors, line) if line else None


def _answer(request: dict[str, Any], descriptors: list[int]) -> dict[str, Any]:
    kinds: dict[str, Callable[[dict[str, Any], list[int]], dict[str, Any]]] = {
        "read": _read,
        "draw": _draw,
        "draw_search": _draw_search,
    }
    return kinds[request["kind"]](request, descriptors)


def _read(request: dict[str, Any], descriptors: list[int]) -> dict[str, Any]:
    clock = SystemClock()
    end = clock.monotonic() + SLICE
    places = [Place(fd, **place) for fd, place in zip(descriptors, request["places"], strict=True)]
    scan = Scan(Cursor.from_json(request["cursor"]), is_late=lambda: clock.monotonic() > end)
    return scan.answer(places)


def _draw(request: dict[str, Any], _descriptors: list[int]) -> dict[str, Any]:
    # Late, because it takes a second and most processes are never asked for a picture.
    from bot.metrics import drawing  # noqa: PLC0415

    panels = [Panel.from_json(panel) for panel in request["panels"]]
    return {"picture": drawing.render(request["title"], panels).hex()}


def _draw_search(request: dict[str, Any], _descriptors: list[int]) -> dict[str, Any]:
    from bot.metrics import search_drawing  # noqa: PLC0415

    picture = SearchPicture.from_json(request["search"])
    return {"picture": search_drawing.render(request["title"], picture).hex()}


if __name__ == "__main__":
    main()
