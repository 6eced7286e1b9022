"""A day at devhub in which everything happens once: every call is made, every event sent."""

from pathlib import Path

import yaml

from bot.clock import ManualClock
from bot.devhub import DevHub, Pull, Repository
from bot.devhub.manifest import parse
from bot.resources import MANIFEST
from tests.devhub.client import Client

REPO = "/repos/acme/digits"
NOTE = {"path": "train.py", "start_line": 1, "end_line": 1, "annotation_level": "failure", "message": "m", "title": "t"}
ACTION = {"label": "Stop", "description": "Stop the experiment", "identifier": "stop"}


def live_through(root: Path, clock: ManualClock) -> DevHub:
    """Return a devhub, closed again, whose `requests` and `deliveries` are full."""
    with DevHub(root, clock) as hub:
        hub.add_organization("acme")
        hub.app.events += ("commit_comment",)  # which ours does not ask for
        repository = hub.create_repository("acme", "digits", private=True)
        sha = hub.commit_files(repository, {"train.py": "print(1)"})
        hub.commit_files(repository, {"train.py": "print(2)"}, branch="better")
        hub.require_check(repository, "experiments", hub.app.id)
        hub.require_check(repository, "lint")
        hub.require_check(repository, "experiments", branch="better", classic=True)
        pull = hub.open_pull(repository, head="better", body="Because.")
        client = Client(hub, clock).login()
        _write_checks(client, sha, pull.head_sha)
        _write_comments(client)
        _read_everything(client, sha)
        _ask_as_the_app(client, repository)
        _act(hub, repository, pull, sha)
        _administer(hub, repository)
        _install(hub, client, repository)
        _register(hub, client)
        hub.wait_delivered()
        return hub


def _write_checks(client: Client, sha: str, head: str) -> None:
    output = {"title": "Running", "summary": "s", "text": "t", "annotations": [NOTE]}
    started = {"status": "in_progress", "started_at": "2023-11-14T22:13:20Z", "external_id": "1"}
    body = {"name": "experiments", "head_sha": head, "details_url": "https://ci.example.com/1", "output": output}
    run = client.post(f"{REPO}/check-runs", body | started).json()
    done = {"status": "completed", "conclusion": "failure", "completed_at": "2023-11-14T22:14:20Z"}
    client.patch(run["url"], done | {"output": output, "actions": [ACTION]})
    client.post(f"{REPO}/check-runs", {"name": "train / fit", "head_sha": sha})
    client.post(f"{REPO}/check-runs", {"name": "train / fit", "head_sha": "f" * 40})
    client.post(f"{REPO}/check-runs", {"name": "train / fit"})


def _write_comments(client: Client) -> None:
    comments = f"{REPO}/issues/1/comments"
    client.patch(client.post(comments, {"body": "first"}).json()["url"], {"body": "second"})
    client.delete(client.post(comments, {"body": "third"}).json()["url"])
    client.post(comments, {"body": ""})
    reactions = client.get(comments).json()[0]["url"] + "/reactions"
    for content in ("eyes", "eyes", "no"):
        client.post(reactions, {"content": content})
    client.get(reactions)
    client.get(f"{REPO}/issues/comments?sort=updated")
    client.post(f"{REPO}/issues/9/comments", {"body": "x"})


def _read_everything(client: Client, sha: str) -> None:
    suite = client.get(f"{REPO}/commits/{sha}/check-suites").json()["check_suites"][0]["id"]
    run = client.get(f"{REPO}/commits/better/check-runs?filter=all").json()["check_runs"][0]["id"]
    comment = client.get(f"{REPO}/issues/1/comments").json()[0]["id"]
    tree = client.get(f"{REPO}/git/trees/{sha}").json()
    below = (
        *(f"/check-suites/{suite}", f"/check-suites/{suite}/check-runs", f"/check-runs/{run}"),
        *(f"/check-runs/{run}/annotations", "/issues/1", f"/issues/comments/{comment}", "", "/pulls", "/pulls/1"),
        *("/pulls/9", f"/commits/{sha}", f"/commits/{sha}/pulls", f"/git/blobs/{tree['tree'][0]['sha']}"),
        *("/collaborators/acme/permission", "/branches", "/branches/better", "/branches/nothing"),
        *("/compare/main...better", "/compare/main...nothing", "/rules/branches/main", "/rules/branches/nothing"),
    )
    for path in below:
        client.get(REPO + path)
    for path in ("/installation/repositories", "/rate_limit", "/meta"):
        client.get(path)
    known = client.get(f"{REPO}/pulls/1").headers["ETag"]
    client.get(f"{REPO}/pulls/1", headers={"If-None-Match": known})


def _ask_as_the_app(client: Client, repository: Repository) -> None:
    number = client.hub.installation("acme").id
    client.mint(repository_ids=[repository.id], permissions={"contents": "read"})
    client.mint(permissions={"contents": "write"})
    paths = ("/app", "/app/installations", f"/app/installations/{number}", f"{REPO}/installation", "/app/hook/config")
    for path in (*paths, "/app/hook/deliveries", "/app/hook/deliveries/1"):
        client.as_app("GET", path)
    client.as_app("GET", "/orgs/acme/installation")
    client.as_app("GET", "/orgs/nobody/installation")
    client.as_app("POST", "/app/hook/deliveries/1/attempts")
    client.as_app("PATCH", "/app/hook/config", json={"content_type": "json", "insecure_ssl": "0"})
    client.as_app("PATCH", "/app/hook/config", json={"content_type": "xml"})
    client.send("GET", "/app", "Bearer a.b.c")
    Client(client.hub, client.clock).login().delete("/installation/token")


def _act(hub: DevHub, repository: Repository, pull: Pull, sha: str) -> None:
    hub.tag(repository, "v1", sha)
    comment = hub.comment(pull, "/run", by=hub.add_user("zoe"))
    hub.edit_comment(pull, comment, "/run again")
    hub.comment_on_commit(repository, sha, "/run")
    fork = hub.fork(repository, "zoe")
    hub.commit_files(fork, {"evil.py": ""}, branch="evil")
    hub.open_pull(repository, head="evil", head_repository=fork, draft=True)
    hub.mark_ready(repository.pulls[2])
    hub.edit_pull(pull, "Another title")
    run = hub.check(repository, pull.head_sha, "experiments")
    hub.rerequest_check_run(repository, run)
    hub.request_action(repository, run, "stop")
    hub.rerequest_check_suite(repository, repository.suites[sha])
    hub.close_pull(pull)
    hub.reopen_pull(pull)
    hub.convert_to_draft(pull)
    hub.commit_files(repository, {"train.py": "print(3)"}, branch="better")
    hub.commit_files(repository, {"notes": "1.0"}, branch="release")
    hub.edit_base(pull, "release")
    hub.edit_base(pull, "main")
    hub.destroy_merge_group(repository, hub.request_merge_group(pull), "invalidated")
    hub.destroy_merge_group(repository, hub.request_merge_group(pull), "merged")
    hub.merge_pull(repository.pulls[2])
    hub.delete_branch(repository, "better")


def _administer(hub: DevHub, repository: Repository) -> None:
    hub.rename_repository(repository, "numbers")
    hub.archive_repository(repository)
    hub.unarchive_repository(repository)
    hub.set_visibility(repository, private=False)
    hub.set_visibility(repository, private=True)
    hub.delete_repository(hub.create_repository("acme", "gone"))
    hub.transfer_repository(hub.create_repository("zoe", "hers", installed=False), "acme")
    hub.transfer_repository(hub.create_repository("acme", "ours"), "zoe")


def _install(hub: DevHub, client: Client, repository: Repository) -> None:
    hub.grant("acme", {"checks": "read"})
    client.post("/repos/acme/numbers/check-runs", {"name": "n", "head_sha": "f" * 40})
    hub.grant("acme", hub.app.permissions)
    hub.suspend("acme")
    client.mint()
    hub.unsuspend("acme")
    hub.remove_repositories("acme", [repository])
    hub.add_repositories("acme", [repository])
    hub.uninstall("acme")
    hub.install("acme", [repository])
    client.as_app("GET", "/users/zoe/installation")


def _register(hub: DevHub, client: Client) -> None:
    content = yaml.safe_load(MANIFEST.read_text()) | {"redirect_url": "https://ci.example.com/setup"}
    code = hub.site.registrations.open(parse(content), hub.app.owner)
    for _ in range(2):
        client.send("POST", f"/app-manifests/{code}/conversions", None)
