"""The judge is judged: what is wrong must be called wrong, or the other tests here prove nothing."""

import json

import pytest

from tests.openapi import description
from tests.openapi.description import Exchange

CHECK_RUNS = "/repos/{owner}/{repo}/check-runs"


def judge(body: dict[str, object], answer: dict[str, object] | None = None, status: int = 422) -> list[str]:
    answer = {"message": "m"} if answer is None else answer
    return description.errors_in_exchange(
        Exchange("POST", CHECK_RUNS, status, json.dumps(body).encode(), json.dumps(answer).encode())
    )


def test_a_request_is_judged() -> None:
    good = {"name": "n", "head_sha": "f" * 40}
    route = ("POST", CHECK_RUNS)
    assert description.errors_in_request(*route, json.dumps(good).encode()) == []
    for wrong in (
        {"name": "n"},
        good | {"status": "done"},
        good | {"conclusion": None},
        good | {"detail_url": "https://misspelt"},
        good | {"output": {"title": "t"}},
        good | {"output": {"title": "t", "summary": "s", "annotations": [{}]}},
        good | {"actions": [{"label": "l" * 21, "description": "d", "identifier": "i"}]},
    ):
        assert description.errors_in_request(*route, json.dumps(wrong).encode()) != [], wrong


@pytest.mark.parametrize("query", ["stat=open", "state=opened", "per_page=many", "app_id=1"])
def test_a_query_is_judged(query: str) -> None:
    route = "/repos/{owner}/{repo}/pulls"
    assert description.errors_in_query("GET", route, "state=open&per_page=100&sort=updated&direction=desc") == []
    assert len(description.errors_in_query("GET", route, query)) == 1
    wrong = description.errors_in_exchange(Exchange("GET", route, 200, b"", b"[]", query))
    assert [error.partition("query: ")[1] for error in wrong] == ["query: "]


def test_an_answer_is_judged() -> None:
    assert judge({}) == []
    assert judge({}, {"message": 1}) != []
    assert judge({"name": "n", "head_sha": "f"}, {"id": 1}, 201) != []
    assert description.errors_in_answer("GET", "/repos/{owner}/{repo}", 299, b"{}") == [
        "the status 299 is not described"
    ]


def test_an_operation_that_github_lacks_is_called_out() -> None:
    assert description.errors_in_exchange(Exchange("GET", "/repos/{owner}/{repo}/nothing", 200, b"", b"{}")) == [
        "GET /repos/{owner}/{repo}/nothing 200: GitHub has no such operation"
    ]


def test_a_payload_is_judged() -> None:
    # The examples are older than the description and lack a few members that are demanded now.
    example = description.examples()["push"][0]
    known = description.errors_in_payload("push", example)
    worse = description.errors_in_payload("push", {k: v for k, v in example.items() if k != "ref"} | {"after": 1})
    assert set(worse) - set(known) == {": 'ref' is a required property", "after: 1 is not of type 'string'"}
