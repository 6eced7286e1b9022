"""GitHub's own description of its API and webhooks, and questions to it.

`@octokit/openapi` (npm) has one file for api.github.com, 13 MB. It is parsed once in a process (0.2 s); a single
operation is then checked by an OpenAPI-3.0 validator that follows references only where an answer leads it.
"""

import json
import re
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

import pytest
from openapi_schema_validator import OAS30Validator, oas30_format_checker
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT4

_MODULES = Path(__file__).parents[2] / "node_modules" / "@octokit"
_FILE = _MODULES / "openapi" / "generated" / "api.github.com.json"
_EXAMPLES = _MODULES / "webhooks-examples" / "api.github.com" / "index.json"
_URN = "urn:github"
_STALE = (
    # Both halves of "a user or an enterprise" are demanded at once.
    re.compile(r"(.*/)?account: '(name|slug|created_at|updated_at)' is a required property"),
    # Lists of events from before merge queues.
    re.compile(r".*app/events/\d+: 'merge_group' is not one of .*"),
)
"""Where the description itself is wrong: GitHub's true answers and its own example payloads fail there too."""


class Exchange(NamedTuple):
    """A request and its answer, as bytes. devhub's `ApiRequest` has these fields and more."""

    method: str
    route: str
    status: int
    body: bytes
    answer: bytes
    query: str = ""


def skip_without_npm_parts() -> None:
    """Skip the test, with the cure, where `make ci-deps` was not run."""
    if not _FILE.exists() or not _EXAMPLES.exists():
        pytest.skip("GitHub's OpenAPI description is not installed: run `make ci-deps` (npm ci --ignore-scripts)")


@cache
def document() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(_FILE.read_bytes())
    return loaded


@cache
def examples() -> dict[str, list[dict[str, Any]]]:
    """Return GitHub's example payloads by event."""
    return {entry["name"]: entry["examples"] for entry in json.loads(_EXAMPLES.read_bytes())}


@cache
def _registry() -> Registry[Any]:
    # Opaque: nothing is looked for in the 13 MB beforehand.
    return Registry().with_resource(_URN, Resource(document(), DRAFT4))


def knows(method: str, route: str) -> bool:
    return method.lower() in document()["paths"].get(route, {})


def errors_in_request(method: str, route: str, body: bytes) -> list[str]:
    """Return what GitHub's description has against a request's body: sentences, none for a good one."""
    operation = document()["paths"][route][method.lower()]
    described = operation.get("requestBody", {}).get("content", {}).get("application/json")
    if described is None:
        return [] if body in {b"", b"{}"} else ["no body is described, one was sent"]
    if not body and not operation["requestBody"].get("required"):
        return []
    where = ["paths", route, method.lower(), "requestBody", "content", "application/json", "schema"]
    return _errors(where, json.loads(body)) + unknown_fields(described["schema"], json.loads(body))


def errors_in_query(method: str, route: str, query: str) -> list[str]:
    """Return what GitHub's description has against a query: it ignores a misspelt parameter, too."""
    path = document()["paths"][route]
    listed = [_resolved(one) for one in [*path.get("parameters", []), *path[method.lower()].get("parameters", [])]]
    known = {one["name"]: one["schema"] for one in listed if one["in"] == "query"}
    found = []
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name not in known:
            found.append(f"{name} is not a parameter")
        elif value not in map(str, known[name].get("enum", [value])):
            found.append(f"{name} cannot be {value}")
        elif known[name].get("type") == "integer" and not value.isdigit():
            found.append(f"{name} is a number, not {value}")
    return found


def _resolved(value: dict[str, Any]) -> dict[str, Any]:
    """Return what a reference leads to."""
    while "$ref" in value:
        found: Any = document()
        for part in value["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        value = found
    return value


def errors_in_answer(method: str, route: str, status: int, answer: bytes) -> list[str]:
    """Return what GitHub's description has against an answer."""
    responses = document()["paths"][route][method.lower()]["responses"]
    if str(status) not in responses and status < 400:
        return [f"the status {status} is not described"]
    if str(status) not in responses:
        # GitHub does not list every refusal of every operation; its errors all have one shape.
        return _errors(["components", "schemas", "basic-error"], json.loads(answer))
    where = ["paths", route, method.lower(), "responses", str(status)]
    response = responses[str(status)]
    while "$ref" in response:
        where = response["$ref"].removeprefix("#/").split("/")
        response = document()[where[0]][where[1]][where[2]]
    if "application/json" not in response.get("content", {}):
        return [] if answer in {b"", b"{}"} else ["no content is described, some was sent"]
    return _errors([*where, "content", "application/json", "schema"], json.loads(answer))


def errors_in_payload(event: str, payload: dict[str, Any]) -> list[str]:
    """Return what GitHub's description has against a webhook's payload."""
    action = payload.get("action")
    name = event if action is None else f"{event}-{action}"
    where = ["x-webhooks", name.replace("_", "-"), "post", "requestBody", "content", "application/json", "schema"]
    return _errors(where, payload)


def unknown_fields(schema: dict[str, Any], body: dict[str, Any]) -> list[str]:
    """Return the fields of a request that GitHub would silently ignore: a misspelt one is never noticed otherwise."""
    known = schema.get("properties")
    return [] if known is None else [f"{name} is not a field" for name in body if name not in known]


def errors_in_exchange(exchange: Any) -> list[str]:
    """Return everything that is wrong with one recorded request (an `Exchange`, or devhub's `ApiRequest`)."""
    place = f"{exchange.method} {exchange.route} {exchange.status}"
    if not knows(exchange.method, exchange.route):
        return [f"{place}: GitHub has no such operation"]
    found = []
    if exchange.status < 400:
        found += [f"query: {e}" for e in errors_in_query(exchange.method, exchange.route, exchange.query)]
        found += [f"request: {e}" for e in errors_in_request(exchange.method, exchange.route, exchange.body)]
    return [f"{place}: {error}" for error in found] + errors_in_answer_of(exchange)


def errors_in_answer_of(exchange: Any) -> list[str]:
    """Return what is wrong with the answer alone."""
    place = f"{exchange.method} {exchange.route} {exchange.status}"
    if exchange.status == 304:
        return [] if exchange.answer == b"" else [f"{place}: a 304 has no body"]
    found = errors_in_answer(exchange.method, exchange.route, exchange.status, exchange.answer)
    return [f"{place}: answer: {error}" for error in found]


def _errors(where: list[str], value: Any) -> list[str]:
    escaped = (part.replace("~", "~0").replace("/", "~1").replace("{", "%7B").replace("}", "%7D") for part in where)
    found = [error for error in _validator("/".join(escaped)).iter_errors(value) if not _is_null_allowed(error)]
    sentences = [f"{'/'.join(map(str, error.absolute_path))}: {error.message[:300]}" for error in found]
    return [sentence for sentence in sentences if not any(stale.fullmatch(sentence) for stale in _STALE)]


def _is_null_allowed(error: Any) -> bool:
    """GitHub writes `nullable` beside an enum that does not name null, which OpenAPI 3.0 does not count."""
    return error.instance is None and error.schema.get("nullable") is True


@cache
def _validator(pointer: str) -> Any:
    return OAS30Validator({"$ref": f"{_URN}#/{pointer}"}, registry=_registry(), format_checker=oas30_format_checker)
