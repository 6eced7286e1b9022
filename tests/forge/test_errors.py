"""What GitHub's refusals mean, by status and headers alone."""

from typing import Any

import pytest

from bot.clock import SECOND
from bot.forge.errors import Limited, Moved, Refused, Retry, Unauthorized, clock_offset, from_answer

NOW = 1_700_000_000 * SECOND
DATE = "Tue, 14 Nov 2023 22:13:20 GMT"
"""NOW, as HTTP writes it."""


def meaning(status: int, headers: dict[str, str] | None = None, data: Any = None, *, is_post: bool = False) -> Any:
    return from_answer(status, headers or {}, data, NOW, is_post=is_post)


@pytest.mark.parametrize("status", [500, 502, 503, 504, 408])
def test_githubs_own_trouble_is_tried_again(status: int) -> None:
    assert type(meaning(status)) is Retry
    assert not meaning(status).maybe_written
    assert meaning(status, is_post=True).maybe_written


@pytest.mark.parametrize(
    ("status", "data", "words"),
    [
        (403, {"message": "Resource not accessible by integration"}, "403: Resource not accessible by integration"),
        (404, {"message": "Not Found"}, "404: Not Found"),
        (410, {"message": "Issues are disabled for this repo"}, "410: Issues are disabled for this repo"),
        (422, {"message": "Invalid", "errors": [{"message": "too long"}, "and odd"]}, "422: Invalid too long and odd"),
        (400, "<html>", "400: no reason given"),
        (422, {"message": None, "errors": "no list"}, "422: no reason given"),
        (451, [], "451: no reason given"),
    ],
)
def test_what_stays_as_it_is_is_refused_with_githubs_words(status: int, data: Any, words: str) -> None:
    refused = meaning(status, data=data, is_post=True)

    assert type(refused) is Refused
    assert refused.status == status
    assert str(refused) == f"GitHub answered {words}"


def test_githubs_words_come_as_one_short_printable_line() -> None:
    refused = meaning(422, data={"message": "a\nb\x1b[31m" + "c" * 10_000})

    assert str(refused).startswith("GitHub answered 422: a b?[31mccc")
    assert len(str(refused)) < 500


@pytest.mark.parametrize("status", [403, 429])
def test_retry_after_is_the_wait(status: int) -> None:
    assert meaning(status, {"retry-after": "90", "x-ratelimit-remaining": "0"}).after == 90


def test_an_empty_budget_is_waited_for_by_githubs_own_clock() -> None:
    """The two times of one answer are compared, so that our own clock may be wrong by minutes."""
    empty = {"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(1_700_000_000 + 600)}
    half_an_hour_ahead = from_answer(403, {**empty, "date": DATE}, {}, NOW + 1800 * SECOND, is_post=True)

    assert isinstance(half_an_hour_ahead, Limited)
    assert half_an_hour_ahead.after == 601
    assert meaning(403, empty).after == 601


@pytest.mark.parametrize(
    ("status", "headers", "message"),
    [
        (403, {}, "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."),
        (403, {}, "You have triggered an abuse detection mechanism."),
        (429, {}, "Too many requests"),
        (403, {"x-ratelimit-remaining": "0"}, "API rate limit exceeded"),
        (403, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "soon"}, "API rate limit exceeded"),
    ],
)
def test_a_limit_that_names_no_time_leaves_it_to_the_pacer(status: int, headers: dict[str, str], message: str) -> None:
    limited = meaning(status, headers, {"message": message}, is_post=True)

    assert isinstance(limited, Limited)
    assert limited.after == 0
    assert not limited.maybe_written


@pytest.mark.parametrize("value", ["", "-5", "1e9", "nan", "٣", "1_0", "9" * 40, "Wed, 21 Oct 2015 07:28:00 GMT"])
def test_an_odd_retry_after_is_taken_for_none(value: str) -> None:
    assert meaning(429, {"retry-after": value}).after == 0


def test_no_header_silences_an_installation_for_ever() -> None:
    assert meaning(429, {"retry-after": "999999999999"}).after == 86_400
    assert meaning(429, {"retry-after": "0"}).after == 1


def test_the_other_two() -> None:
    assert type(meaning(401, data={"message": "Bad credentials"})) is Unauthorized
    assert type(meaning(307)) is Moved


@pytest.mark.parametrize("date", ["", "yesterday", "Tue, 99 Nov 2023 22:13:20 GMT", "\x00"])
def test_a_date_that_is_none_says_nothing(date: str) -> None:
    assert clock_offset({"date": date}, NOW) is None
    assert clock_offset({}, NOW) is None


def test_the_offset_is_positive_when_we_are_ahead() -> None:
    assert clock_offset({"date": DATE}, NOW + 7 * SECOND) == 7
    assert clock_offset({"date": DATE.replace("GMT", "-0000")}, NOW - 7 * SECOND) == -7
