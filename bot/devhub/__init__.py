"""devhub: a GitHub for one's own machine, and the GitHub of the tests.

Real bare git repositories over git's own HTTP backend, the REST calls that we use, App JWTs and installation tokens
with real expiry and permissions, webhooks signed and delivered as GitHub does, GitHub's limits enforced, misbehaviour
on order, plain pages with people's buttons. It listens on 127.0.0.1 only. State is in memory, repositories are below
`root`.

    with DevHub(tmp_path, SystemClock()) as hub:
        hub.set_webhook("http://127.0.0.1:8080/webhook")
        repository = hub.create_repository("acme", "digits", private=True)
        sha = hub.commit_files(repository, {"train.py": "print(1)"}, message="First")   # as a push: webhooks go out
        hub.commit_files(repository, {"train.py": "print(2)"}, branch="worse")           # branches off main
        pull = hub.open_pull(repository, head="worse", base="main", title="Worse", body="")
        hub.wait_delivered()

Real git works as well: `hub.clone_url(repository)` with the environment `hub.git_env(user)` (no secret in argv).

For the bot: `hub.url` (GITHUB_API_URL and GITHUB_WEB_URL both; `<url>/api/v3` works too), `hub.app.id`,
`hub.app.private_key` (PEM text), `hub.app.webhook_secret`, `hub.installation("acme").id`.

Other acts of people, each with its complete webhook: `close_pull`, `reopen_pull`, `mark_ready`, `convert_to_draft`,
`edit_pull`, `edit_base`, `merge_pull`, `fork` (then `open_pull(repository, head="branch", head_repository=fork, …)`),
`request_merge_group` and `destroy_merge_group(repository, sha, "merged" | "invalidated" | "dequeued")`, `comment`,
`edit_comment`, `delete_comment`, `react` (of which nobody hears), `comment_on_commit`, `delete_branch`, `tag`,
`rerequest_check_run`, `rerequest_check_suite`, `request_action`.

With repositories: `rename_repository`, `archive_repository`, `unarchive_repository`, `set_visibility(…, private=…)`,
`transfer_repository(repository, "zoe", installed=True)`, `delete_repository`, `set_role(repository, "zoe", "triage")`
(`none` takes it away) and `add_collaborator`, which tell nobody, as does `require_check(repository, "experiments",
app_id)`, which a branch then needs (`classic=True`: by its older protection).

With the App's installation on an account: `install("acme", [repository])` (left out: on all), `uninstall`, `suspend`,
`unsuspend`, `add_repositories`, `remove_repositories`, `grant("acme", {"checks": "read"})`. `create_repository`
installs the App on all repositories of an owner who has it not yet, unless told `installed=False`: nobody hears of it.

With the App itself: `add_key()` returns another private key, `delete_key(pem)` makes one bad. It is registered anew as
GitHub does it from a manifest: POST the field `manifest` to `<url>/settings/apps/new?state=…` (or below
`/organizations/<org>`), press the button, take the `code` to `POST /app-manifests/{code}/conversions`. From then on
`hub.app` is that App, its webhooks go where its manifest says, and it is installed nowhere:
`<url>/apps/<slug>/installations/new` is the page for that.

The pages have people's buttons: comment, edit, delete, close, reopen, merge, draft, re-run, and those of checks. One
acts as the person that one has chosen in their header, or as the repository's owner.

To look at: `hub.checks(repository, sha)`, `hub.check(repository, sha, name)` (the newest; `.status`, `.conclusion`,
`.output`, `.history`), `pull.comments`, `hub.deliveries` (attempts with payloads), `hub.requests` (every API request:
`.count("POST", "/repos/{owner}/{repo}/check-runs")`, bodies kept), `hub.git_requests`.

Misbehaviour: `hub.faults.fail_next("POST", r"/check-runs$", status=502, after_write=True)`, `cut_next`, `delay_next`,
`at_random(rate=0.05, seed=1)`, `outage()`; for git `hub.set_fetch_rules(repository, any_sha=False, filters=False)`.

For webhooks: `hub.courier.duplicate_next()`, `drop_next()`, `delay_next(seconds=…)` of the wire or `clock_seconds=…` of
the hub's clock, `at_random(0.3, seed=1, kinds=["duplicate", "delay", "drop", "shuffle"], clock_seconds=600)`,
`outage()` until `restore()`, `hold()` until `release(seed=…)`; `hub.set_webhook(url, content_type="form")`.
`wait_delivered` waits for what is due now.

GitHub's rate limits are on (80 writes a minute, 500 and 5,000 requests an hour, by the clock that was handed in);
`DevHub(…, limits=None)` lifts them where a test is about something else. On order: `hub.limit("acme", retry_after=60)`
(None: without that header; `"app"`: for the App itself), `hub.exhaust("acme")`. Whoever was told to wait and does not
is refused again and stands in `hub.trespasses`; writes with less than a second between them stand in `hub.crowding`.
"""

from bot.devhub.git import Link
from bot.devhub.model import Account, CheckRun, Comment, Pull, Repository
from bot.devhub.ratelimit import Limits
from bot.devhub.server import DevHub

__all__ = ["Account", "CheckRun", "Comment", "DevHub", "Limits", "Link", "Pull", "Repository"]
