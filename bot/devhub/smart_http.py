"""git over HTTP: who may fetch, who may push, and what a push sets in motion."""

import shutil
import tempfile

from flask import Blueprint, Response, request

from bot.devhub import traffic
from bot.devhub.auth import Actor
from bot.devhub.errors import ApiError
from bot.devhub.git import CgiAnswer
from bot.devhub.model import Account, Repository
from bot.devhub.pushes import after_push
from bot.devhub.site import Site

_PASSED_ON = {"Content-Type": "CONTENT_TYPE", "Content-Encoding": "HTTP_CONTENT_ENCODING", "Accept": "HTTP_ACCEPT"}


def smart_http(site: Site) -> Blueprint:
    """Return `/<owner>/<repo>.git/…`, with and without the `.git`."""
    blueprint = Blueprint("git", __name__)

    @blueprint.get("/<owner>/<repo>/info/refs", endpoint="refs", defaults={"service": None})
    @blueprint.post("/<owner>/<repo>/<any('git-upload-pack','git-receive-pack'):service>", endpoint="service")
    def answer(owner: str, repo: str, service: str | None) -> Response:
        request.environ[traffic.ROUTE] = "git"
        wanted = service or request.args.get("service", "")
        try:
            repository, actor = _admit(site, owner, repo.removesuffix(".git"), wanted)
        except ApiError as error:
            return _refusal(error)
        request.environ[traffic.ACTOR] = actor.name
        path = "info/refs" if service is None else service
        if service == "git-receive-pack":
            return _push(site, repository, actor)
        return _response(_ask_git(site, repository, path, actor.user if wanted == "git-receive-pack" else None))

    return blueprint


def _admit(site: Site, owner: str, name: str, service: str) -> tuple[Repository, Actor]:
    """Return the repository and who asks; raises ApiError with GitHub's status for who may not."""
    if service not in {"git-upload-pack", "git-receive-pack"}:
        raise ApiError(403, "Please upgrade your git client.")
    actor = _actor(site)
    repository = site.world.find(owner, name)
    is_push = service == "git-receive-pack"
    if repository is None or not actor.reaches(repository) or is_push:
        _check_rights(repository, actor, is_push)
    elif actor.token is not None and actor.is_at_home(repository) and not actor.may(repository, "contents", "read"):
        raise ApiError(403, "Write access to repository not granted.")
    if repository is None:
        raise ApiError(404, "Repository not found.")
    if is_push and repository.is_archived:
        raise ApiError(403, "This repository was archived so it is read-only.")
    return repository, actor


def _check_rights(repository: Repository | None, actor: Actor, is_push: bool) -> None:
    if actor.user is None and actor.token is None:
        raise ApiError(401, "Authentication required")
    if repository is None or not actor.reaches(repository):
        raise ApiError(404, "Repository not found.")
    if is_push and (actor.user is None or not actor.may(repository, "contents", "write")):
        raise ApiError(403, "Permission to push was denied.")


def _actor(site: Site) -> Actor:
    """Basic authentication: an installation token or a person's token as the password, whatever the user name."""
    given = request.authorization
    if given is None:
        return Actor()
    if given.type != "basic" or not given.password:
        raise ApiError(401, "Invalid username or token.")
    actor = site.gate.of_secret(given.password)
    actor.check_awake()
    if actor.user is not None and (given.username or "").lower() != actor.user.login.lower():
        raise ApiError(401, "Invalid username or token.")
    return actor


def _push(site: Site, repository: Repository, actor: Actor) -> Response:
    """Let git receive, then compare the refs: what moved is what was pushed. No hook, nothing to forget."""
    pusher = actor.user or repository.owner
    with repository.push_lock:
        before = site.git(repository).refs()
        answer = _ask_git(site, repository, "git-receive-pack", pusher)
        after_push(site, repository, pusher, before)
    return _response(answer)


def _ask_git(site: Site, repository: Repository, path: str, user: Account | None) -> CgiAnswer:
    variables = {"REQUEST_METHOD": request.method, "QUERY_STRING": request.query_string.decode("latin-1")}
    variables |= {name: request.headers[header] for header, name in _PASSED_ON.items() if header in request.headers}
    # Protocol 2 serves any object that it is asked for; only the older ones know how to refuse.
    if "Git-Protocol" in request.headers and repository.any_sha:
        protocol = request.headers["Git-Protocol"]
        variables |= {"GIT_PROTOCOL": protocol, "HTTP_GIT_PROTOCOL": protocol}
    with tempfile.TemporaryFile() as spool:
        shutil.copyfileobj(request.stream, spool)
        variables["CONTENT_LENGTH"] = str(spool.tell())
        spool.seek(0)
        return site.git(repository).http(path, variables, spool, None if user is None else user.login)


def _response(answer: CgiAnswer) -> Response:
    return Response(answer.body, answer.status, answer.headers)


def _refusal(error: ApiError) -> Response:
    headers = {"WWW-Authenticate": 'Basic realm="GitHub"'} if error.status == 401 else {}
    return Response(str(error) + "\n", error.status, headers, mimetype="text/plain")
