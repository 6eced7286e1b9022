"""What lies between two commits of a repository."""

from flask import request

from bot.devhub.comparison import changes, compare
from bot.devhub.errors import ApiError, not_found
from bot.devhub.rest.routing import Answer, Call, Routes

routes = Routes()
_MOST_COMMITS = 250
_MOST_FILES = 300


@routes.add("GET", "/repos/{owner}/{repo}/compare/{basehead}", "contents:read")
def compare_commits(call: Call) -> Answer:
    """Compare two refs or SHAs, `base...head`, of this repository.

    GitHub: "Compare two commits". Without `page` and `per_page` the newest 250 commits are listed, oldest first; with
    them all can be had. Files (at most 300) are on the first page only. A fork's branch (`owner:branch`) is not looked
    for and is a 404: its commits are here under their SHAs, once they are a pull request.
    """
    ends = call.arguments["basehead"].split("...")
    git = call.site.git(call.repository)
    shas = [git.resolve(end) for end in ends]
    if len(shas) != 2 or shas[0] is None or shas[1] is None:
        raise not_found()
    found = compare(git, shas[0], shas[1])
    if found is None:
        raise ApiError(404, f"No common ancestor between {ends[0]} and {ends[1]}.")
    places, headers = _page(call, found.ahead_by)
    span = {"limit": len(places), "skip": found.ahead_by - places[-1] - 1} if places else {"limit": 0}
    commits = git.log(f"{found.base}..{found.head}", **span)[::-1]
    base, merge_base = (call.site.commit(call.repository, sha) for sha in (found.base, found.merge_base))
    answer = call.shapes.comparison(call.repository, found, base, merge_base, commits)
    if request.args.get("page", "1") == "1":
        files = changes(git, found.merge_base, found.head)[:_MOST_FILES]
        answer["files"] = [call.shapes.file_change(call.repository, found.head, each) for each in files]
    return Answer(answer, headers=headers)


def _page(call: Call, total: int) -> tuple[list[int], dict[str, str]]:
    """Return the places of the commits to list, counted from the oldest, and the Link header."""
    if {"page", "per_page"} & set(request.args):
        return call.page(range(total))
    return [*range(max(0, total - _MOST_COMMITS), total)], {}
