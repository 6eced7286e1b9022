"""Comments on pull requests. One that is new is mailed to everybody; devhub's pages show when it was edited."""

from bot.devhub.errors import invalid, not_found
from bot.devhub.model import Account, Comment, Pull
from bot.devhub.people import People
from bot.devhub.rest.routing import Answer, Call, Routes

routes = Routes()
_MOST_CHARACTERS = 65_536
_READ = ("issues:read", "pull_requests:read")
_WRITE = ("issues:write", "pull_requests:write")


@routes.add("GET", "/repos/{owner}/{repo}/issues/{issue_number}", *_READ)
def get_issue(call: Call) -> Answer:
    return Answer(call.shapes.issue(_pull(call)))


@routes.add("GET", "/repos/{owner}/{repo}/issues/{issue_number}/comments", *_READ)
def list_comments(call: Call) -> Answer:
    pull = _pull(call)
    return call.listed(pull.comments, lambda comment: call.shapes.comment(pull, comment, call.site.app))


@routes.add("POST", "/repos/{owner}/{repo}/issues/{issue_number}/comments", *_WRITE)
def create_comment(call: Call) -> Answer:
    pull = _pull(call)
    comment = People(call.site).comment(pull, _body(call), _author(call))
    return Answer(call.shapes.comment(pull, comment, call.site.app), 201)


@routes.add("GET", "/repos/{owner}/{repo}/issues/comments/{comment_id}", *_READ)
def get_comment(call: Call) -> Answer:
    return Answer(call.shapes.comment(*_comment(call), call.site.app))


@routes.add("PATCH", "/repos/{owner}/{repo}/issues/comments/{comment_id}", *_WRITE)
def update_comment(call: Call) -> Answer:
    pull, comment = _comment(call)
    People(call.site).edit_comment(pull, comment, _body(call), _author(call))
    return Answer(call.shapes.comment(pull, comment, call.site.app))


@routes.add("DELETE", "/repos/{owner}/{repo}/issues/comments/{comment_id}", *_WRITE)
def delete_comment(call: Call) -> Answer:
    People(call.site).delete_comment(*_comment(call), _author(call))
    return Answer(None, 204)


def _body(call: Call) -> str:
    body = call.body().text("body", required=True) or ""
    if not body.strip():
        raise invalid("IssueComment", "data", "Body cannot be blank", "unprocessable")
    if len(body) > _MOST_CHARACTERS:
        sentence = f"Body is too long (maximum is {_MOST_CHARACTERS} characters)"
        raise invalid("IssueComment", "data", sentence, "unprocessable")
    return body


def _author(call: Call) -> Account:
    return call.actor.user or call.site.app.bot


def _pull(call: Call) -> Pull:
    pull = call.repository.pulls.get(call.arguments["issue_number"])
    if pull is None:
        raise not_found()
    return pull


def _comment(call: Call) -> tuple[Pull, Comment]:
    found = call.site.world.pull_of_comment(call.repository, call.arguments["comment_id"])
    if found is None:
        raise not_found()
    return found
