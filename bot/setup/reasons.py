"""Why the bot wants each permission and event, in the words of GitHub's pages and in ours."""

PERMISSIONS = {
    "metadata": "comes by itself with any other: names, branches, and who may do what",
    "contents": "to fetch the commit that runs, and its config",
    "checks": "to tell as checks how experiments go, and to hear of their Re-run buttons",
    "pull_requests": "to write the one comment of a pull request, and to answer commands there",
    "issues": "GitHub wants it for the event Issue comment",
    "merge_queues": "GitHub wants it for the event Merge group",
}
EVENTS = {
    "push": "a commit to a branch or a tag is what runs",
    "pull_request": "so is the head of a pull request; closing one stops it",
    "issue_comment": "brings the commands that people write in pull requests",
    "merge_group": "the merge queue waits for our checks",
    "repository": "the bot follows when one is renamed, transferred, archived or made private",
}
_LEVELS = {"read": "Read-only", "write": "Read and write"}


def shown(name: str) -> str:
    """Return a permission or event as GitHub's pages call it: `pull_requests` is “Pull requests”."""
    return name.replace("_", " ").capitalize()


def access(level: str) -> str:
    """Return the level of a permission as GitHub's pages call it."""
    return _LEVELS[level]
