"""From a request to a call: who asks, may they, for which repository; and from a value to GitHub's answer."""

import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, Response, request

from bot.devhub import traffic
from bot.devhub.auth import Actor
from bot.devhub.errors import ApiError, archived, forbidden, not_found
from bot.devhub.model import Repository
from bot.devhub.rest.body import Body
from bot.devhub.shapes import Shapes
from bot.devhub.site import Site

_MOST_ON_A_PAGE = 100


@dataclass(frozen=True)
class Answer:
    """What a handler returns: a JSON-able value (None: no content) and a status."""

    value: Any
    status: int = 200
    headers: dict[str, str] | None = None


@dataclass(frozen=True)
class Call:
    """One authorised request, as handlers see it."""

    site: Site
    actor: Actor
    shapes: Shapes
    arguments: dict[str, Any]
    _repository: Repository | None

    @property
    def repository(self) -> Repository:
        if self._repository is None:
            raise not_found()
        return self._repository

    def body(self) -> Body:
        """Return the request's JSON object; raises 400 for what is none."""
        raw = request.get_data()
        try:
            value = json.loads(raw) if raw else {}
        except (ValueError, RecursionError) as error:
            raise ApiError(400, "Problems parsing JSON") from error
        if not isinstance(value, dict):
            raise ApiError(400, "Body should be a JSON object")
        return Body(value)

    def page(self, items: Sequence[Any]) -> tuple[list[Any], dict[str, str]]:
        """Return the part that `page` and `per_page` ask for, and the Link header that leads to the others."""
        size = min(max(_number("per_page", 30), 1), _MOST_ON_A_PAGE)
        page, last = max(_number("page", 1), 1), max(1, -(-len(items) // size))
        links = {"prev": page - 1, "next": page + 1, "first": 1, "last": last}
        shown = {"prev": page > 1, "first": page > 1, "next": page < last, "last": page < last}
        header = ", ".join(f'<{self._link(number)}>; rel="{name}"' for name, number in links.items() if shown[name])
        return list(items[(page - 1) * size : page * size]), {"Link": header} if header else {}

    def listed(self, items: Sequence[Any], shape: Callable[[Any], Any], key: str | None = None) -> Answer:
        """Return one page of `items`; under `key`, beside `total_count`, where GitHub does so."""
        part, headers = self.page(items)
        shaped = [shape(item) for item in part]
        return Answer(shaped if key is None else {"total_count": len(items), key: shaped}, headers=headers)

    def _link(self, page: int) -> str:
        arguments = {**request.args.to_dict(), "page": str(page)}
        return f"{self.shapes.api}{request.path}?" + "&".join(f"{k}={v}" for k, v in arguments.items())


Handler = Callable[[Call], Answer]


@dataclass(frozen=True)
class Route:
    """A handler, with OpenAPI's template of its path and what the caller needs.

    `needs`: permissions on the repository, any of which will do (`checks:write`); `app` for the App's JWT;
    `installation` for an installation's token.
    """

    method: str
    template: str
    needs: tuple[str, ...]
    handler: Handler

    @property
    def rule(self) -> str:
        return re.sub(r"\{(\w+)\}", _converter, self.template)


def _converter(match: re.Match[str]) -> str:
    name = match[1]
    kind = "path:" if name in {"ref", "branch", "basehead"} else "int:" if name.endswith(("_id", "_number")) else ""
    return f"<{kind}{name}>"


class Routes:
    """The routes of one file."""

    def __init__(self) -> None:
        self.all: list[Route] = []

    def add(self, method: str, template: str, *needs: str) -> Callable[[Handler], Handler]:
        def register(handler: Handler) -> Handler:
            self.all.append(Route(method, template, needs, handler))
            return handler

        return register


def api(site: Site, routes: Iterable[Route]) -> Blueprint:
    """Return the REST API made of `routes`."""
    blueprint = Blueprint("api", __name__)
    for route in routes:
        name = f"{route.method} {route.template}".replace(".", "_")
        blueprint.add_url_rule(route.rule, name, _view(site, route), methods=[route.method])
    blueprint.add_url_rule("/repositories/<path:rest>", "gone", _gone)
    return blueprint


def _gone(**_: Any) -> Response:
    """Answer where redirects lead and nothing is any more: see `bot.devhub.server`."""
    return _response(not_found().body, 404, {})


def _view(site: Site, route: Route) -> Callable[..., Response]:
    def view(**arguments: Any) -> Response:
        request.environ[traffic.ROUTE] = route.template
        request.environ[traffic.BODY] = request.get_data()
        with site.world.lock:
            return _answer(site, route, arguments)

    return view


def _answer(site: Site, route: Route, arguments: dict[str, Any]) -> Response:
    actor = Actor()
    try:
        actor = site.gate.actor(request.headers.get("Authorization"))
        request.environ[traffic.ACTOR] = actor.name
        actor.check_awake()
        _check_manners(site, actor, route)
        answer = route.handler(_call(site, actor, route, arguments))
        response = _response(answer.value, answer.status, answer.headers or {})
    except ApiError as error:
        response = _response(error.body, error.status, error.headers)
    response = _unless_known(site, actor, response)
    for name, value in site.meter.headers(actor.name).items():
        response.headers[name] = value
    return response


def _check_manners(site: Site, actor: Actor, route: Route) -> None:
    if not request.headers.get("User-Agent"):
        raise ApiError(403, "Request forbidden by administrative rules. Please make sure it has a User-Agent header")
    # Asking for the limits is free.
    if route.template != "/rate_limit":
        crowd = request.environ.get(traffic.CROWD, 0)
        site.meter.spend(actor.name, route.method, route.template, request.full_path.rstrip("?"), crowd)


def _response(value: Any, status: int, headers: dict[str, str]) -> Response:
    body = b"" if value is None else json.dumps(value, ensure_ascii=False).encode()
    response = Response(body, status, headers, content_type="application/json; charset=utf-8")
    response.headers["X-GitHub-Media-Type"] = "github.v3; format=json"
    response.headers["X-GitHub-Api-Version-Selected"] = "2022-11-28"
    return response


def _unless_known(site: Site, actor: Actor, response: Response) -> Response:
    """Give a good answer to a GET its ETag; make it an empty 304 where the caller has that already."""
    if request.method != "GET" or response.status_code != 200:
        return response
    response.add_etag(weak=True)
    response.make_conditional(request)
    # Werkzeug's own time; the server stamps the answer with our clock.
    del response.headers["Date"]
    if response.status_code == 304:
        site.meter.give_back(actor.name)
    return response


def _call(site: Site, actor: Actor, route: Route, arguments: dict[str, Any]) -> Call:
    shapes = Shapes(site.url + request.script_root, site.url)
    repository = None
    if "owner" in arguments:
        repository = _repository(site, actor, shapes, arguments)
    _check_needs(actor, route, repository)
    if repository is not None and repository.is_archived and route.method != "GET":
        raise archived()
    return Call(site, actor, shapes, arguments, repository)


def _repository(site: Site, actor: Actor, shapes: Shapes, arguments: dict[str, Any]) -> Repository:
    owner, name = arguments["owner"], arguments["repo"]
    repository = site.world.find(owner, name)
    if repository is None or not (actor.app or actor.reaches(repository)):
        raise not_found()
    if repository.full_name.lower() != f"{owner}/{name}".lower():
        rest = request.path.split("/", 4)[4:]
        url = "/".join([f"{shapes.api}/repositories/{repository.id}", *rest])
        # A write is redirected with 307, which clients do not take for a GET (18F/charlie#85).
        raise ApiError(301 if request.method == "GET" else 307, "Moved Permanently", headers={"Location": url})
    return repository


def _check_needs(actor: Actor, route: Route, repository: Repository | None) -> None:
    if route.needs == ("app",):
        if actor.app is None:
            raise ApiError(401, "A JSON web token could not be decoded")
    elif actor.app is not None:
        raise ApiError(401, "Bad credentials")
    elif route.needs == ("installation",):
        if actor.token is None:
            raise ApiError(403, "Resource not accessible by personal access token")
    elif repository is not None and route.needs:
        _check_permission(actor, route, repository)


def _check_permission(actor: Actor, route: Route, repository: Repository) -> None:
    needs = [need.split(":") for need in route.needs]
    is_reading = all(level == "read" for _, level in needs)
    if not actor.is_at_home(repository):
        # A public repository that the actor has nothing to do with: everybody may read it.
        if is_reading:
            return
        raise forbidden() if actor.token or actor.user else ApiError(401, "Requires authentication")
    if actor.user is not None and ["checks", "write"] in needs:
        raise ApiError(403, "You must authenticate via a GitHub App.")
    if not any(actor.may(repository, permission, level) for permission, level in needs):
        refusal = forbidden()
        refusal.headers["X-Accepted-GitHub-Permissions"] = "; ".join(n.replace(":", "=") for n in route.needs)
        raise refusal


def _number(name: str, default: int) -> int:
    text = request.args.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 9 else default
