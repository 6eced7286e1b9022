"""Repositories, commits, trees, pull requests, and who may do what in them; the limits and GitHub's addresses."""

import base64

from flask import request

from bot.devhub.errors import ApiError, not_found
from bot.devhub.git import GitError
from bot.devhub.model import Pull
from bot.devhub.rest.routing import Answer, Call, Routes
from bot.devhub.shapes import Json, grants

routes = Routes()


@routes.add("GET", "/rate_limit")
def get_rate_limit(call: Call) -> Answer:
    headers = call.site.meter.headers(call.actor.name)
    names = ("limit", "remaining", "reset", "used")
    rate = {name: int(headers[f"X-RateLimit-{name.capitalize()}"]) for name in names}
    return Answer({"resources": {"core": rate, "search": rate, "graphql": rate}, "rate": rate})


@routes.add("GET", "/meta")
def get_meta(_: Call) -> Answer:
    here = ["127.0.0.1/32"]
    return Answer({"verifiable_password_authentication": False, "hooks": here, "web": here, "api": here, "git": here})


@routes.add("GET", "/repos/{owner}/{repo}", "metadata:read")
def get_repository(call: Call) -> Answer:
    user = call.actor.user
    role = "read" if user is None else call.repository.role_of(user)
    return Answer(call.shapes.full_repository(call.repository, grants(role)))


@routes.add("GET", "/repos/{owner}/{repo}/collaborators/{username}/permission", "metadata:read")
def get_permission(call: Call) -> Answer:
    """Answer somebody's role: of a stranger `none`, or `read` in a public repository; nobody knows a bot as a user.

    The first is GitHub's reference ("The permission can also be used to determine which base level of access"); that a
    bot is a 404 is not documented, and the more unforgiving of two answers.
    """
    account = call.site.world.accounts.get(call.arguments["username"].lower())
    if account is None or account.kind == "Bot":
        raise not_found()
    return Answer(call.shapes.permission(account, call.repository.role_of(account)))


@routes.add("GET", "/repos/{owner}/{repo}/branches", "contents:read")
def list_branches(call: Call) -> Answer:
    """List by name; `protected` chooses."""
    branches = call.site.git(call.repository).branches()
    found = [call.shapes.short_branch(call.repository, *each) for each in branches.items()]
    wanted = {"true": {True}, "false": {False}}.get(request.args.get("protected", ""), {True, False})
    return call.listed([one for one in found if one["protected"] in wanted], dict)


@routes.add("GET", "/repos/{owner}/{repo}/branches/{branch}", "contents:read")
def get_branch(call: Call) -> Answer:
    name = call.arguments["branch"]
    sha = call.site.git(call.repository).tip(name)
    if sha is None:
        raise ApiError(404, "Branch not found")
    return Answer(call.shapes.full_branch(call.repository, name, call.site.commit(call.repository, sha)))


@routes.add("GET", "/repos/{owner}/{repo}/rules/branches/{branch}", "metadata:read")
def list_rules(call: Call) -> Answer:
    """List what holds for a branch, which need not be there (GitHub: "Get rules for a branch")."""
    return call.listed(call.shapes.rules(call.repository, call.arguments["branch"]), dict)


@routes.add("GET", "/repos/{owner}/{repo}/commits/{ref}", "contents:read")
def get_commit(call: Call) -> Answer:
    git = call.site.git(call.repository)
    sha = git.resolve(call.arguments["ref"])
    if sha is None:
        raise ApiError(422, f"No commit found for SHA: {call.arguments['ref']}")
    return Answer(call.shapes.commit(call.repository, call.site.commit(call.repository, sha)))


@routes.add("GET", "/repos/{owner}/{repo}/git/trees/{tree_sha}", "contents:read")
def get_tree(call: Call) -> Answer:
    """Answer a tree with modes, so that links (120000) and submodules (160000) can be seen."""
    sha, url = call.arguments["tree_sha"], call.shapes.repository_url(call.repository)
    flags = ("-r", "-t") if "recursive" in request.args else ()
    git = call.site.git(call.repository)
    try:
        tree = git.line("rev-parse", "--verify", "--end-of-options", f"{sha}^{{tree}}")
        lines = git.run("ls-tree", "-z", "--long", *flags, tree).decode(errors="replace").split("\0")
    except GitError as error:
        raise not_found() from error
    entries = [_entry(url, line) for line in lines if line]
    return Answer({"sha": tree, "url": f"{url}/git/trees/{tree}", "tree": entries, "truncated": False})


@routes.add("GET", "/repos/{owner}/{repo}/git/blobs/{file_sha}", "contents:read")
def get_blob(call: Call) -> Answer:
    sha = call.arguments["file_sha"]
    try:
        data = call.site.git(call.repository).run("cat-file", "blob", "--end-of-options", sha)
    except GitError as error:
        raise not_found() from error
    answer: Json = {
        "sha": sha,
        "node_id": f"B_{sha}",
        "size": len(data),
        "url": f"{call.shapes.repository_url(call.repository)}/git/blobs/{sha}",
        "content": base64.encodebytes(data).decode(),
        "encoding": "base64",
    }
    return Answer(answer)


@routes.add("GET", "/repos/{owner}/{repo}/pulls", "pull_requests:read")
def list_pulls(call: Call) -> Answer:
    """List newest first, filtered by `state` (default open), `head` (`owner:branch`) and `base`."""
    state, head, base = (request.args.get(name) for name in ("state", "head", "base"))
    found = [
        pull
        for pull in reversed(list(call.repository.pulls.values()))
        if state in {"all", "open" if pull.is_open else "closed"} | ({None} if pull.is_open else set())
        and head in {None, f"{pull.head_repository.owner.login}:{pull.head_ref}"}
        and base in {None, pull.base_ref}
    ]
    return call.listed(found, call.shapes.pull)


@routes.add("GET", "/repos/{owner}/{repo}/pulls/{pull_number}", "pull_requests:read")
def get_pull(call: Call) -> Answer:
    pull = call.repository.pulls.get(call.arguments["pull_number"])
    if pull is None:
        raise not_found()
    return Answer(call.site.full_pull(pull, call.shapes))


@routes.add("GET", "/repos/{owner}/{repo}/commits/{commit_sha}/pulls", "pull_requests:read")
def list_pulls_of_commit(call: Call) -> Answer:
    found = [pull for pull in call.repository.pulls.values() if _has(call, pull)]
    return call.listed(found, call.shapes.pull)


def _has(call: Call, pull: Pull) -> bool:
    return bool(pull.head_sha == call.arguments["commit_sha"])


def _entry(url: str, line: str) -> Json:
    facts, path = line.split("\t", 1)
    mode, kind, sha, size = facts.split()
    entry: Json = {"path": path, "mode": mode, "type": kind, "sha": sha}
    if kind == "blob":
        entry["size"] = int(size)
    if kind != "commit":
        entry["url"] = f"{url}/git/{kind}s/{sha}"
    return entry
