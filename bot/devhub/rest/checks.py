"""Check runs and suites, with the limits of GitHub's reference ("Create a check run", "Update a check run").

Summaries and texts are counted in bytes, whatever the documents say (github/docs#35252). A completed run stays
completed: GitHub is known not to reopen one reliably (taskcluster/taskcluster#5085), and devhub says so with a 422
instead of pretending. A changed conclusion of a completed run is taken, as GitHub takes it.
"""

from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from flask import request

from bot.devhub.errors import ApiError, invalid, malformed, not_found
from bot.devhub.model import CheckRun, CheckSuite, Output, Status
from bot.devhub.people import check_run_of_event
from bot.devhub.rest.body import Body
from bot.devhub.rest.routing import Answer, Call, Routes

routes = Routes()
_STATUSES = ("queued", "in_progress", "completed")
_CONCLUSIONS = ("success", "failure", "neutral", "cancelled", "skipped", "timed_out", "action_required")
_LEVELS = ("notice", "warning", "failure")
_MOST_BYTES = 65_535
_MOST_NAME_BYTES = 255
"""Undocumented; Bencher keeps to it, and so do we."""
_MOST_ANNOTATIONS = 50
_MOST_ACTIONS = 3
_MOST_OF_A_NAME = 1_000
_ACTION_FIELDS = {"label": 20, "description": 40, "identifier": 20}
_64_KB = 64 * 1024


@routes.add("POST", "/repos/{owner}/{repo}/check-runs", "checks:write")
def create_check_run(call: Call) -> Answer:
    site, repository, body, now = call.site, call.repository, call.body(), call.site.clock.now()
    name, sha = body.text("name", required=True) or "", body.text("head_sha", required=True) or ""
    if not name.strip() or len(name.encode()) > _MOST_NAME_BYTES:
        raise invalid("CheckRun", "name", "name is empty or too long")
    if len(sha) != 40 or not site.has_commit(repository, sha):
        raise ApiError(422, f"No commit found for SHA: {sha}")
    known = next((suite for key, suite in repository.suites.items() if key == sha), None)
    # Everything is checked on a run that nobody sees yet: a refused request leaves nothing behind.
    draft = CheckSuite(0, sha, None, None, now) if known is None else known
    run = CheckRun(0, draft, name, now, now, now)
    _change(run, body, now, is_new=True)
    run.suite, run.id = site.suite(repository, sha, None, None), site.world.new_id()
    run.suite.runs.append(run)
    _forget_oldest(run)
    run.remember(now)
    _tell(call, run, "created")
    return Answer(call.shapes.check_run(repository, run, site.app), 201)


@routes.add("PATCH", "/repos/{owner}/{repo}/check-runs/{check_run_id}", "checks:write")
def update_check_run(call: Call) -> Answer:
    run, body, now = _run(call), call.body(), call.site.clock.now()
    was_completed = run.status == "completed"
    trial = replace(run, annotations=list(run.annotations))
    _change(trial, body, now, is_new=False)
    _change(run, body, now, is_new=False)
    run.remember(now)
    if not was_completed and run.status == "completed":
        _tell(call, run, "completed")
    return Answer(call.shapes.check_run(call.repository, run, call.site.app))


@routes.add("GET", "/repos/{owner}/{repo}/check-runs/{check_run_id}", "checks:read")
def get_check_run(call: Call) -> Answer:
    return Answer(call.shapes.check_run(call.repository, _run(call), call.site.app))


@routes.add("GET", "/repos/{owner}/{repo}/check-runs/{check_run_id}/annotations", "checks:read")
def list_annotations(call: Call) -> Answer:
    run = _run(call)
    return call.listed(run.annotations, lambda each: call.shapes.annotation(call.repository, run, each))


@routes.add("GET", "/repos/{owner}/{repo}/commits/{ref}/check-runs", "checks:read")
def list_check_runs_of_ref(call: Call) -> Answer:
    suite = call.repository.suites.get(_sha(call))
    return _listed(call, suite)


@routes.add("GET", "/repos/{owner}/{repo}/check-suites/{check_suite_id}/check-runs", "checks:read")
def list_check_runs_of_suite(call: Call) -> Answer:
    return _listed(call, _suite(call))


@routes.add("GET", "/repos/{owner}/{repo}/check-suites/{check_suite_id}", "checks:read")
def get_check_suite(call: Call) -> Answer:
    return Answer(_suite_shape(call, _suite(call)))


@routes.add("GET", "/repos/{owner}/{repo}/commits/{ref}/check-suites", "checks:read")
def list_check_suites(call: Call) -> Answer:
    suite = call.repository.suites.get(_sha(call))
    found = [] if suite is None or not _is_asked_app(call) else [suite]
    return call.listed(found, lambda each: _suite_shape(call, each), "check_suites")


def _change(run: CheckRun, body: Body, now: int, *, is_new: bool) -> None:
    """Apply what the body says. On a bad one this raises, possibly with some of it applied: use a draft first."""
    if not is_new and (name := body.text("name")) is not None:
        run.name = name
    run.external_id = body.text("external_id") or run.external_id
    run.details_url = _url(body) or run.details_url
    _change_status(run, body, now)
    output = body.part("output")
    if output is not None:
        _change_output(run, output, is_new)
    actions = body.parts("actions", _MOST_ACTIONS)
    if actions is not None:
        run.actions = [_action(action) for action in actions]


def _change_status(run: CheckRun, body: Body, now: int) -> None:
    status = body.text("status", choices=_STATUSES)
    conclusion = body.text("conclusion", choices=_CONCLUSIONS)
    started, completed = body.time("started_at"), body.time("completed_at")
    # GitHub: "Providing conclusion will automatically set the status parameter to completed."
    wanted: Any = "completed" if conclusion is not None else status
    if (wanted == "completed" or completed is not None) and conclusion is None and run.conclusion is None:
        raise malformed('No subschema in "anyOf" matched. "conclusion" wasn\'t supplied.')
    if run.status == "completed" and wanted not in {None, "completed"}:
        raise invalid("CheckRun", "status", "a completed check run stays completed; make a new one of the same name")
    run.started_at = started or run.started_at
    if wanted is not None:
        new: Status = wanted
        run.status = new
    if run.status == "completed":
        run.conclusion = conclusion or run.conclusion
        run.completed_at = completed or run.completed_at or now


def _change_output(run: CheckRun, output: Body, is_new: bool) -> None:
    """Take what is given, keep what is not; annotations are added to those that are there."""
    title = output.text("title", required=is_new)
    summary, text = output.text("summary", required=True), output.text("text")
    for field, value in (("summary", summary), ("text", text)):
        if value is not None and len(value.encode()) > _MOST_BYTES:
            raise invalid("CheckRun", field, f"{field} exceeds a maximum bytesize of {_MOST_BYTES}")
    old = run.output
    run.output = Output(title or old.title, summary, old.text if text is None else text)
    run.annotations += [_annotation(each) for each in output.parts("annotations", _MOST_ANNOTATIONS) or ()]


def _annotation(body: Body) -> dict[str, Any]:
    start, end = body.integer("start_line", required=True), body.integer("end_line", required=True)
    values: dict[str, Any] = {
        "path": body.text("path", required=True),
        "start_line": start,
        "end_line": end,
        "annotation_level": body.text("annotation_level", required=True, choices=_LEVELS),
        "message": body.text("message", required=True),
        "title": body.text("title", most=255),
        "raw_details": body.text("raw_details"),
    }
    columns = {name: body.integer(name) for name in ("start_column", "end_column") if name in body}
    if start is None or end is None or start < 1 or end < start:
        raise invalid("CheckRun", "annotations", "lines start at 1, and the end does not lie before the start")
    if columns and start != end:
        raise invalid("CheckRun", "annotations", "columns are only for annotations of one line")
    for field in ("message", "raw_details"):
        if len((values[field] or "").encode()) > _64_KB:
            raise invalid("CheckRun", "annotations", f"{field} exceeds a maximum bytesize of {_64_KB}")
    return {name: value for name, value in (values | columns).items() if value is not None}


def _action(body: Body) -> dict[str, str]:
    return {name: body.text(name, required=True, most=most) or "" for name, most in _ACTION_FIELDS.items()}


def _url(body: Body) -> str | None:
    url = body.text("details_url")
    if url is not None and urlsplit(url).scheme not in {"http", "https"}:
        raise invalid("CheckRun", "details_url", "details_url must use the http or https scheme")
    return url


def _forget_oldest(run: CheckRun) -> None:
    """GitHub keeps 1,000 runs of a name in a suite and deletes older ones."""
    same = [other for other in run.suite.runs if other.name == run.name]
    for old in same[:-_MOST_OF_A_NAME]:
        run.suite.runs.remove(old)


def _tell(call: Call, run: CheckRun, action: str) -> None:
    shape = check_run_of_event(call.site, call.repository, run)
    call.site.emit("check_run", call.repository, call.site.app.bot, {"action": action, "check_run": shape})


def _run(call: Call) -> CheckRun:
    found = next((run for run in call.repository.runs() if run.id == call.arguments["check_run_id"]), None)
    if found is None:
        raise not_found()
    return found


def _suite(call: Call) -> CheckSuite:
    wanted = call.arguments["check_suite_id"]
    found = next((suite for suite in call.repository.suites.values() if suite.id == wanted), None)
    if found is None:
        raise not_found()
    return found


def _suite_shape(call: Call, suite: CheckSuite) -> dict[str, Any]:
    head = call.site.commit(call.repository, suite.sha)
    shape = call.shapes.check_suite(call.repository, suite, call.site.app, head)
    return shape | {"repository": call.shapes.repository(call.repository)}


def _sha(call: Call) -> str:
    ref = call.arguments["ref"]
    sha = call.site.git(call.repository).resolve(ref)
    if sha is None:
        raise ApiError(422, f"No commit found for SHA: {ref}")
    return sha


def _is_asked_app(call: Call) -> bool:
    return request.args.get("app_id", str(call.site.app.id)) == str(call.site.app.id)


def _listed(call: Call, suite: CheckSuite | None) -> Answer:
    """List newest first, filtered by `check_name`, `status`, `app_id`; `filter=latest` (default) one of each name."""
    asked = request.args
    runs = [] if suite is None or not _is_asked_app(call) else suite.runs
    if suite is not None and runs and asked.get("filter", "latest") == "latest":
        runs = suite.latest()
    name, status = asked.get("check_name"), asked.get("status")
    found = [run for run in reversed(runs) if name in {None, run.name} and status in {None, run.status}]
    return call.listed(found, lambda run: call.shapes.check_run(call.repository, run, call.site.app), "check_runs")
