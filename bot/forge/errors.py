"""What can go wrong between us and GitHub, as the caller has to act on it: later again, or never again.

The figures are those of GitHub's "Rate limits for the REST API" and "Best practices for using the REST API".
"""

from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any

_SHUT_OUT = frozenset({403, 404, 410, 451})
"""What GitHub answers to whom it does not let in: for good, or while the App is suspended or lacks a permission."""
_LONGEST_REASON = 400
_LONGEST_WAIT = 86_400.0
"""GitHub's windows last an hour. A header that names a year would otherwise silence an installation for ever."""


class ForgeError(Exception):
    """Something GitHub did not do for us. The message is a sentence without secrets, fit for logs and people.

    `is_retryable` says that the same may go well later. Who `is_shut_out` may be let in again, and nobody knows when:
    what has to be done waits for that, but a person who asked is told before long.
    """

    is_retryable = False
    is_shut_out = False


class Retry(ForgeError):
    """Try again, not before `after` seconds have passed.

    `maybe_written` is True when a POST may have been taken although no good answer came (probot/probot#921: one comment
    made four times): look it up before posting again. A PATCH may simply be repeated, unless it adds annotations.
    """

    is_retryable = True

    def __init__(self, reason: str, after: float = 0.0, *, maybe_written: bool = False) -> None:
        super().__init__(reason)
        self.after = after
        self.maybe_written = maybe_written


class Limited(Retry):
    """GitHub's limits, or our own below them, keep this installation's calls back. Nothing was written.

    `after` is 0 where GitHub named no time; the pacer then chooses one and sets it.
    """


class Unauthorized(Retry):
    """GitHub does not know us: the key, the App's id or this machine's clock is wrong, not the thing to be written."""


class Moved(Retry):
    """The repository has another name by now. GitHub's `repository` event brings it; nothing was written."""


class Refused(ForgeError):
    """GitHub will never take this as it stands. `status` is its answer's (None where there was no answer)."""

    def __init__(self, reason: str, status: int | None = None) -> None:
        super().__init__(reason)
        self.status = status
        self.is_shut_out = status in _SHUT_OUT


def from_answer(status: int, headers: Mapping[str, Any], data: Any, now: int, *, is_post: bool) -> ForgeError:
    """Return what an answer that is not a success means.

    `headers` are in lower case, `data` is the JSON body or whatever came in its place, `now` is our clock's.
    """
    reason = f"GitHub answered {status}: {_message(data)}"
    if status == 429 or (status == 403 and _is_limit(headers, data)):
        return Limited(reason, _named_wait(headers, now))
    if status >= 500 or status == 408:
        return Retry(reason, maybe_written=is_post)
    if status == 401:
        return Unauthorized(reason)
    if 300 <= status < 400:
        return Moved(f"The repository was renamed or transferred ({reason})")
    return Refused(reason, status)


def clock_offset(headers: Mapping[str, Any], now: int) -> float | None:
    """Return how many seconds our clock (`now`, microseconds) is ahead of the answer's `Date`; None without one.

    The header has whole seconds, so an offset below 1 s means nothing.
    """
    try:
        date = parsedate_to_datetime(str(headers["date"]))
    except (KeyError, ValueError):
        return None
    # "-0000" gives a time without a zone, which HTTP nevertheless means as UTC.
    return now / 1e6 - date.replace(tzinfo=date.tzinfo or UTC).timestamp()


def _is_limit(headers: Mapping[str, Any], data: Any) -> bool:
    words = _message(data).lower()
    return (
        "retry-after" in headers
        or str(headers.get("x-ratelimit-remaining")) == "0"
        or "rate limit" in words
        or "abuse detection" in words
    )


def _named_wait(headers: Mapping[str, Any], now: int) -> float:
    """Return how many seconds GitHub asks us to wait, 0 when it does not say."""
    named = _number(headers.get("retry-after"))
    if named is not None:
        return min(max(named, 1.0), _LONGEST_WAIT)
    if str(headers.get("x-ratelimit-remaining")) != "0":
        return 0.0
    reset = _number(headers.get("x-ratelimit-reset"))
    # Both times are GitHub's own, so that our clock's error does not matter; the second is for their rounding.
    theirs = now / 1e6 - (clock_offset(headers, now) or 0.0)
    return 0.0 if reset is None else min(max(reset - theirs + 1.0, 1.0), _LONGEST_WAIT)


def _number(value: Any) -> float | None:
    text = str(value).strip()
    # int() alone would take "1_0" and other scripts' digits, float() would take "nan".
    return float(text) if text.isascii() and text.isdigit() and len(text) < 16 else None


def _message(data: Any) -> str:
    """Return GitHub's own words on one line, cut to a length that a log can bear."""
    if not isinstance(data, Mapping):
        return "no reason given"
    words = [str(data.get("message") or "no reason given")]
    details = data.get("errors")
    for detail in details if isinstance(details, list) else []:
        words.append(str(detail.get("message") or detail) if isinstance(detail, Mapping) else str(detail))
    line = " ".join(" ".join(words).split())
    return "".join(c if c.isprintable() else "?" for c in line)[:_LONGEST_REASON]
