"""What the App asks as itself: who am I, where am I installed, tokens, and its hook's deliveries."""

from urllib.parse import urlencode

from flask import request

from bot.clock import DAY
from bot.devhub.auth import Actor
from bot.devhub.deliveries import ContentType, Delivery
from bot.devhub.errors import ApiError, not_found, suspended
from bot.devhub.manifest import allows
from bot.devhub.model import Installation, Repository, iso
from bot.devhub.rest.body import Body
from bot.devhub.rest.routing import Answer, Call, Routes
from bot.devhub.shapes import Json

routes = Routes()
_KEPT = 3 * DAY
"""How long github.com keeps deliveries for redelivery."""
_MOST_REPOSITORIES = 500
_CONTENT_TYPES: dict[str, ContentType] = {"json": "json", "form": "form"}
_CODES = {"success": range(200, 400), "failure": range(400, 600)}


@routes.add("GET", "/app", "app")
def get_app(call: Call) -> Answer:
    site = call.site
    return Answer(call.shapes.app(site.app) | {"installations_count": len(site.world.installations)})


@routes.add("GET", "/app/installations", "app")
def list_installations(call: Call) -> Answer:
    found = list(call.site.world.installations.values())
    return call.listed(found, lambda each: call.shapes.installation(each, call.site.app))


@routes.add("GET", "/app/installations/{installation_id}", "app")
def get_installation(call: Call) -> Answer:
    return Answer(call.shapes.installation(_installation(call), call.site.app))


@routes.add("GET", "/repos/{owner}/{repo}/installation", "app")
def get_repository_installation(call: Call) -> Answer:
    installation = call.site.world.installation_on(call.repository)
    if installation is None:
        raise not_found()
    return Answer(call.shapes.installation(installation, call.site.app))


@routes.add("GET", "/orgs/{org}/installation", "app")
def get_organization_installation(call: Call) -> Answer:
    return _on_account(call, call.arguments["org"], "Organization")


@routes.add("GET", "/users/{username}/installation", "app")
def get_user_installation(call: Call) -> Answer:
    return _on_account(call, call.arguments["username"], "User")


@routes.add("POST", "/app/installations/{installation_id}/access_tokens", "app")
def create_token(call: Call) -> Answer:
    """Mint a token, narrowed to what the body asks for; asking for more than was granted is refused."""
    installation, body = _installation(call), call.body()
    if installation.is_suspended:
        raise suspended()
    chosen = _chosen(call, installation, body)
    permissions = _narrowed(installation.permissions, body)
    ids = None if chosen is None else frozenset(repository.id for repository in chosen)
    token = call.site.tokens.mint(installation, permissions, ids)
    is_all = chosen is None and installation.selected is None
    answer: Json = {
        "token": token.text,
        "expires_at": iso(token.expires_at),
        "permissions": permissions,
        "repository_selection": "all" if is_all else "selected",
    }
    if chosen is not None:
        answer["repositories"] = [call.shapes.repository(repository) for repository in chosen]
    return Answer(answer, 201)


@routes.add("DELETE", "/installation/token", "installation")
def revoke_token(call: Call) -> Answer:
    if call.actor.token is not None:
        call.site.tokens.revoke(call.actor.token.text)
    return Answer(None, 204)


@routes.add("GET", "/installation/repositories", "installation")
def list_repositories(call: Call) -> Answer:
    found = [r for r in call.site.world.repositories.values() if call.actor.is_at_home(r)]
    answer = call.listed(found, call.shapes.repository, "repositories")
    return Answer(answer.value | {"repository_selection": _selection(call.actor)}, headers=answer.headers)


@routes.add("GET", "/app/hook/config", "app")
def get_hook(call: Call) -> Answer:
    return Answer(call.site.hook_config)


@routes.add("PATCH", "/app/hook/config", "app")
def update_hook(call: Call) -> Answer:
    """Change what the body names, and leave the rest as it is."""
    body, courier, app = call.body(), call.site.courier, call.site.app
    kind = body.text("content_type", choices=_CONTENT_TYPES)
    url, secret, verifies_not = body.text("url"), body.text("secret"), body.text("insecure_ssl", choices=("0", "1"))
    courier.url = url or courier.url
    courier.content_type = _CONTENT_TYPES[kind] if kind else courier.content_type
    app.webhook_secret = secret or app.webhook_secret
    courier.insecure_ssl = verifies_not or courier.insecure_ssl
    return Answer(call.site.hook_config)


@routes.add("GET", "/app/hook/deliveries", "app")
def list_deliveries(call: Call) -> Answer:
    """List attempts of the last three days, newest first; `cursor` leads on, not `page`.

    `status` is `success` (codes 200 to 399) or `failure` (400 to 599): what has no code is neither.
    """
    codes = _CODES.get(request.args.get("status", ""), range(600))
    kept = [delivery for delivery in _kept(call) if delivery.status_code in codes]
    cursor = request.args.get("cursor", "")
    if cursor and not cursor.removeprefix("v1_").isdigit():
        raise ApiError(422, "Invalid cursor")
    older = [d for d in kept if not cursor or d.id < int(cursor.removeprefix("v1_"))]
    size = min(max(request.args.get("per_page", 30, type=int), 1), 100)
    headers = {}
    if len(older) > size:
        asked = request.args.to_dict() | {"per_page": size, "cursor": f"v1_{older[size - 1].id}"}
        headers["Link"] = f'<{call.shapes.api}/app/hook/deliveries?{urlencode(asked)}>; rel="next"'
    return Answer([_item(delivery) for delivery in older[:size]], headers=headers)


@routes.add("GET", "/app/hook/deliveries/{delivery_id}", "app")
def get_delivery(call: Call) -> Answer:
    delivery = _delivery(call)
    seen = {
        "url": call.site.courier.url or "",
        "request": {"headers": delivery.request_headers, "payload": delivery.payload},
        "response": {"headers": delivery.response_headers, "payload": delivery.response_body},
    }
    return Answer(_item(delivery) | seen)


@routes.add("POST", "/app/hook/deliveries/{delivery_id}/attempts", "app")
def redeliver(call: Call) -> Answer:
    call.site.courier.redeliver(_delivery(call))
    return Answer({}, 202)


def _on_account(call: Call, login: str, kind: str) -> Answer:
    account = call.site.world.accounts.get(login.lower())
    found = None if account is None or account.kind != kind else call.site.world.installation_of(account)
    if found is None:
        raise not_found()
    return Answer(call.shapes.installation(found, call.site.app))


def _installation(call: Call) -> Installation:
    installation = call.site.world.installations.get(call.arguments["installation_id"])
    if installation is None:
        raise not_found()
    return installation


def _chosen(call: Call, installation: Installation, body: Body) -> list[Repository] | None:
    """Return the repositories that the token shall be for, None when the body names none."""
    names, ids = body.array("repositories"), body.array("repository_ids")
    if names is None and ids is None:
        return None
    wanted = set(ids or ()), {str(name).lower() for name in names or ()}
    known = [r for r in call.site.world.repositories.values() if installation.covers(r)]
    found = [r for r in known if r.id in wanted[0] or r.name.lower() in wanted[1]]
    if len(found) != len(wanted[0]) + len(wanted[1]) or len(found) > _MOST_REPOSITORIES:
        raise ApiError(
            422,
            "There is at least one repository that does not exist or is not accessible to the parent installation.",
        )
    return found


def _narrowed(granted: dict[str, str], body: Body) -> dict[str, str]:
    part = body.part("permissions")
    # PyGithub sends an empty object when it wants everything, and GitHub takes it so.
    if part is None or not part.names():
        return dict(granted)
    wanted = {name: part.text(name, choices=("read", "write", "admin")) or "" for name in part.names()}
    if not all(allows(granted, name, level) for name, level in wanted.items()):
        raise ApiError(422, "The permissions requested are not granted to this installation.")
    # A token may always read that much.
    return wanted | {"metadata": "read"}


def _selection(actor: Actor) -> str:
    token = actor.token
    narrowed = token is not None and (token.repositories is not None or token.installation.selected is not None)
    return "selected" if narrowed else "all"


def _kept(call: Call) -> list[Delivery]:
    """Return what was attempted for this App in the last days, newest first; what is on its way is not there yet."""
    since, target = call.site.clock.now() - _KEPT, str(call.site.app.id)
    return [
        delivery
        for delivery in reversed(call.site.courier.deliveries)
        if delivery.delivered_at >= since and delivery.target == target and not delivery.is_pending
    ]


def _delivery(call: Call) -> Delivery:
    found = next((d for d in _kept(call) if d.id == call.arguments["delivery_id"]), None)
    if found is None:
        raise not_found()
    return found


def _item(delivery: Delivery) -> Json:
    return {
        "id": delivery.id,
        "guid": delivery.guid,
        "delivered_at": iso(delivery.delivered_at),
        "redelivery": delivery.redelivery,
        "duration": delivery.duration,
        "status": delivery.status,
        "status_code": delivery.status_code,
        "event": delivery.event,
        "action": delivery.action,
        "installation_id": delivery.installation_id,
        "repository_id": delivery.repository_id,
        "throttled_at": None,
    }
