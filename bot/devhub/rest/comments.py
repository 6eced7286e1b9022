"""Comments on pull requests, and reactions to them.

A new comment is mailed to everybody, an edit to nobody; devhub's pages show when a comment was edited.
"""

from flask import request

from bot.devhub.errors import invalid, not_found
from bot.devhub.model import Account, Comment, Pull
from bot.devhub.people import People
from bot.devhub.rest.body import Body
from bot.devhub.rest.routing import Answer, Call, Routes
from bot.devhub.shapes import REACTIONS

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


@routes.add("GET", "/repos/{owner}/{repo}/issues/comments", *_READ)
def list_comments_of_repository(call: Call) -> Answer:
    """List by id, or with `sort` by `created` or `updated` in a `direction`; `since` is about the last change."""
    since, sort = Body(request.args.to_dict()).time("since") or 0, request.args.get("sort")
    found = [(pull, comment) for pull in call.repository.pulls.values() for comment in pull.comments]
    found = [(pull, comment) for pull, comment in found if comment.updated_at >= since]
    found.sort(key=lambda each: each[1].id)
    if sort is not None:
        # Without `sort` GitHub ignores the direction.
        found.sort(key=lambda each: each[1].updated_at if sort == "updated" else each[1].created_at)
        if request.args.get("direction", "desc") == "desc":
            found.reverse()
    return call.listed(found, lambda each: call.shapes.comment(each[0], each[1], call.site.app))


@routes.add("GET", "/repos/{owner}/{repo}/issues/comments/{comment_id}/reactions", *_READ)
def list_reactions(call: Call) -> Answer:
    content = request.args.get("content")
    found = [reaction for reaction in _comment(call)[1].reactions if content in {None, reaction.content}]
    return call.listed(found, call.shapes.reaction)


@routes.add("POST", "/repos/{owner}/{repo}/issues/comments/{comment_id}/reactions", *_WRITE)
def create_reaction(call: Call) -> Answer:
    """React. "A response with an HTTP `200` status means that you already added the reaction type"."""
    content = call.body().text("content", required=True, choices=REACTIONS) or ""
    comment = _comment(call)[1]
    known = len(comment.reactions)
    reaction = People(call.site).react(comment, content, _author(call))
    return Answer(call.shapes.reaction(reaction), 200 if len(comment.reactions) == known else 201)


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
