"""One request of a browser, asked of a run's own server, and its answer handed on as it comes.

Neither side is trusted with the other. What a browser sends and what a run answers pass by a list of names: a header
that is not on it stays here, so no cookie, no credential and no gateway's identity header reaches a run, and no
answer of a run can set, clear or ask for anything on our address.
"""

import http.client
import re
import socket
from collections.abc import Callable, Iterator
from itertools import chain
from urllib.parse import urlsplit

from flask import Response, request

SILENCE = 60.0
"""Seconds without a byte from the run after which its answer is given up."""

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")

_TO_THE_RUN = frozenset(
    {
        *("accept", "accept-encoding", "accept-language", "cache-control", "content-encoding", "content-language"),
        *("content-type", "if-match", "if-modified-since", "if-none-match", "if-range", "if-unmodified-since"),
        *("pragma", "range", "user-agent", "x-requested-with"),
        # Marks by which applications tell their own scripts from strangers'; TensorBoard and Jupyter want theirs.
        *("x-xsrf-protected", "x-xsrftoken", "x-csrftoken", "x-tensorboard-feature-flags"),
    }
)
_FROM_THE_RUN = frozenset(
    {
        *("accept-ranges", "allow", "cache-control", "content-disposition", "content-encoding", "content-language"),
        *("content-range", "content-type", "etag", "expires", "last-modified", "retry-after", "vary"),
    }
)
_SANDBOX = "sandbox allow-scripts allow-forms allow-modals allow-popups allow-downloads"
"""Without `allow-same-origin` a page's origin is like no other: our pages and cookies are out of its reach."""
_COOKIE = "run-"
"""What a run's cookies are called in the browser: only these go back to it, and none of ours is among them."""
_COOKIE_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_LIFETIME = re.compile(r"(max-age|expires)\s*=\s*([\w ,:+-]+)", re.I | re.A)
"""The attributes of a cookie that may stay: how long it lives."""
_BEGINNING = re.compile(rb"\A(?:\xef\xbb\xbf)?(?:\s+|<!--.*?-->)*<!doctype[^>]*>", re.I | re.S)
"""What must stay in front, or the browser reads the page by other rules."""
_BLOCK = 65_536
_UNLIMITED = 1 << 62

Connect = Callable[[], socket.socket]


class ForeignResponse(Response):
    """What a run wrote: it has headers of its own in the place of those of our pages."""


class NoAnswer(Exception):
    """The run gave no answer that could be handed on; the message says why, for whoever looks at the page."""


def forward(connect: Connect, host: str, target: str, place: str, script: str) -> ForeignResponse:
    """Ask a run for `target` (path and query, as the browser wrote them) and return its answer.

    `host` is the address that the run knows itself by; `place` is the path at which a browser finds its `/`. `script`
    is the address of ours that its pages load first. Raises NoAnswer.
    """
    if _is_preflight():
        return _shielded(ForeignResponse(status=204))
    try:
        connection = connect()
    except OSError as error:
        raise NoAnswer("nothing listens at this port (yet)") from error
    try:
        found = _ask(connection, host, target)
        response = _answer(found, connection, host, place)
        if _is_page(found) and request.method != "HEAD":
            _introduce(response, _blocks(found), f'<script src="{script}"></script>'.encode())
        return response
    except BaseException:
        connection.close()
        raise


def _ask(connection: socket.socket, host: str, target: str) -> http.client.HTTPResponse:
    """Send the request at hand, its body as it comes, and return the answer's head. Raises NoAnswer."""
    connection.settimeout(SILENCE)
    client = http.client.HTTPConnection(host)
    client.sock, client.auto_open = connection, 0
    try:
        client.putrequest(request.method, target, skip_host=True, skip_accept_encoding=True)
        for name, value in _headers(host).items():
            client.putheader(name, value)
        _send(client)
        return client.getresponse()
    except TimeoutError as error:
        raise NoAnswer(f"it did not answer within {SILENCE:.0f} s") from error
    except http.client.RemoteDisconnected as error:
        raise NoAnswer("nothing listens at this port (yet), or it closed the connection") from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise NoAnswer(f"what answers there does not speak HTTP as expected ({type(error).__name__})") from error


def _headers(host: str) -> dict[str, str]:
    headers = {name: value for name, value in request.headers if name.lower() in _TO_THE_RUN}
    cookies = [f"{name.removeprefix(_COOKIE)}={value}" for name, value in _cookies() if name.startswith(_COOKIE)]
    if "text/html" in request.headers.get("Accept", ""):
        headers["Accept-Encoding"] = "identity"  # into a page something is put; see `_introduce`
    return {"Host": host, **headers, **({"Cookie": "; ".join(cookies)} if cookies else {}), "Connection": "close"}


def _cookies() -> Iterator[tuple[str, str]]:
    """Yield the browser's cookies as they were written: the run knows what its own mean."""
    for part in request.headers.get("Cookie", "").split(";"):
        name, separator, value = part.strip().partition("=")
        if separator:
            yield name, value


def _send(client: http.client.HTTPConnection) -> None:
    """End the head and send the body, of any length."""
    request.max_content_length = _UNLIMITED
    blocks = iter(lambda: request.stream.read(_BLOCK), b"")
    if request.content_length is not None:
        client.putheader("Content-Length", str(request.content_length))
        client.endheaders(blocks)
    elif "chunked" in request.headers.get("Transfer-Encoding", "").lower():
        client.putheader("Transfer-Encoding", "chunked")
        client.endheaders(blocks, encode_chunked=True)
    else:
        client.endheaders()


def _answer(found: http.client.HTTPResponse, connection: socket.socket, host: str, place: str) -> ForeignResponse:
    if found.status < 200:
        raise NoAnswer("it wants to change the protocol")
    response = ForeignResponse(_blocks(found), found.status)
    response.headers.clear()
    for name, value in found.getheaders():
        if name.lower() in _FROM_THE_RUN and _is_one_line(value):
            response.headers.add(name, value)
    for value in found.headers.get_all("Set-Cookie", ()):
        if kept := _scoped(value, place):
            response.headers.add("Set-Cookie", kept)
    if target := _rewritten(found.headers.get("Location"), host, place):
        response.headers["Location"] = target
    if (length := found.headers.get("Content-Length", "")).isascii() and length.isdigit() and not found.chunked:
        response.headers["Content-Length"] = length
    response.call_on_close(found.close)
    response.call_on_close(connection.close)
    return _shielded(response)


def _blocks(found: http.client.HTTPResponse) -> Iterator[bytes]:
    try:
        while block := found.read1(_BLOCK):
            yield block
    except (OSError, http.client.HTTPException) as error:
        raise BrokenPipeError(str(error)) from error
    if found.length:
        # Fewer bytes than were announced: the browser must not take the next answer for the rest of this one.
        raise BrokenPipeError("the run ended its answer too early")


def _is_page(found: http.client.HTTPResponse) -> bool:
    kind = found.headers.get("Content-Type", "").lower()
    is_plain = found.headers.get("Content-Encoding", "identity").lower() == "identity"
    return found.status == 200 and kind.startswith("text/html") and "utf-16" not in kind and is_plain


def _introduce(response: ForeignResponse, blocks: Iterator[bytes], element: bytes) -> None:
    """Put an element into a page before all that has an effect."""
    first = next(blocks, b"")
    start = found.end() if (found := _BEGINNING.match(first)) else 0
    response.response = chain([first[:start], element, first[start:]], blocks)
    if "Content-Length" in response.headers:
        response.headers["Content-Length"] = str(int(response.headers["Content-Length"]) + len(element))


def _shielded(response: ForeignResponse) -> ForeignResponse:
    """Put the headers that keep what a run serves away from us.

    Its scripts have no origin of ours, so to the browser they are strangers who ask for what they may have: whoever
    knows the address. The address holds the key, a cookie would not come along.
    """
    response.headers["Content-Security-Policy"] = _SANDBOX
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["X-Robots-Tag"] = "noindex, nofollow"
    if request.headers.get("Origin") == "null":
        response.headers["Access-Control-Allow-Origin"] = "null"
        response.headers["Access-Control-Allow-Credentials"] = "true"
        response.headers["Access-Control-Allow-Methods"] = ", ".join(METHODS)
        response.headers["Access-Control-Allow-Headers"] = ", ".join(sorted(_TO_THE_RUN))
        response.headers["Access-Control-Expose-Headers"] = ", ".join(sorted(_FROM_THE_RUN))
        response.headers.add("Vary", "Origin")
    return response


def _is_preflight() -> bool:
    """Tell whether the browser asks on its own account whether a script may ask."""
    return request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers


def _scoped(cookie: str, place: str) -> str | None:
    """Return a cookie of the run's as one that lives below `place`, with a name of ours; None for nonsense."""
    pair, *attributes = cookie.split(";")
    name, separator, value = pair.partition("=")
    # What could hold another attribute would undo ours: the last of two paths counts.
    if not separator or not _COOKIE_NAME.fullmatch(name.strip()) or not _is_one_line(cookie):
        return None
    found = (_LIFETIME.fullmatch(attribute.strip()) for attribute in attributes)
    kept = [f"{one[1].lower()}={one[2]}" for one in found if one is not None]
    return "; ".join([f"{_COOKIE}{name.strip()}={value.strip()}", f"Path={place}/", "HttpOnly", "SameSite=Lax", *kept])


def _rewritten(location: str | None, host: str, place: str) -> str | None:
    """Return where a redirect of the run's leads, seen from the browser; None for what is no address of the web."""
    if location is None or not _is_one_line(location):
        return None
    try:
        url = urlsplit(location)
    except ValueError:
        return None
    if url.scheme not in ("", "http", "https"):
        return None
    if url.netloc in ("", host):
        rest = location.split(url.netloc, 1)[1] if url.netloc else location
        return f"{place}{rest}" if rest.startswith("/") else rest or f"{place}/"
    return location


def _is_one_line(value: str) -> bool:
    """A header that a run folded over several lines is legal and old; nothing that follows us wants it."""
    return not any(character in value for character in "\r\n\0")
