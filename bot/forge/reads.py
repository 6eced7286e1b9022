"""Reading as an installation, with what was read before in mind: what has not changed costs nothing.

GitHub answers 304 to a request that names the ETag of what we have, and does not count it against the hour's 5,000
(docs: "Best practices for using the REST API").
"""

import json
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from github import Github

_LARGEST, _KEPT = 1 << 20, 16 << 20
"""Characters of an answer that is remembered, and of all. A list of a hundred pull requests has about 400,000."""


@dataclass(frozen=True)
class Page:
    """One answer. `following` is the query of the next page, None for the last."""

    value: Any
    following: str | None = None


@dataclass(frozen=True)
class _Known:
    etag: str
    page: Page
    size: int


class Memory:
    """The newest answers of one installation, by their addresses. For one thread at a time."""

    def __init__(self, kept: int = _KEPT) -> None:
        self._kept = kept
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._size = 0

    def get(self, address: str) -> _Known | None:
        return self._known.get(address)

    def put(self, address: str, known: _Known) -> None:
        if (old := self._known.pop(address, None)) is not None:
            self._size -= old.size
        self._known[address] = known
        self._size += known.size
        while self._size > self._kept:
            self._size -= self._known.popitem(last=False)[1].size


def read(github: Github, memory: Memory, path: str, parameters: Mapping[str, str]) -> Page:
    """Return `GET path`, from memory where GitHub says that nothing has changed.

    Raises GithubException for what is no success, ValueError for what is not JSON.
    """
    address = path + (f"?{urlencode(sorted(parameters.items()))}" if parameters else "")
    known = memory.get(address)
    headers = {} if known is None else {"If-None-Match": known.etag}
    status, answered, body = github.requester.requestJson("GET", address, headers=headers)
    if status == 304 and known is not None:
        return known.page
    if status != 200:
        raise github.requester.createException(status, answered, _json(body))
    page = Page(json.loads(body), following(str(answered.get("link", ""))))
    if (etag := answered.get("etag")) and len(body) <= _LARGEST:
        memory.put(address, _Known(str(etag), page, len(body)))
    return page


def following(link: str) -> str | None:
    """Return the query of the page that a Link header calls the next, None for none.

    Path and host are ours to choose.
    """
    for part in link.split(","):
        address, _, relation = part.partition(";")
        if relation.strip() == 'rel="next"':
            found = urlsplit(address.strip().strip("<>"))
            return urlencode(parse_qsl(found.query))
    return None


def _json(body: str) -> dict[str, Any]:
    """Return what an answer that is no success says; proxies say it in HTML."""
    try:
        value = json.loads(body)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
