"""What people say, and how they feel about it."""

from typing import Any

from bot.devhub.model import Account, Comment, CommitComment, Pull, Reaction, Repository
from bot.devhub.people.acts import Acts
from bot.devhub.shapes import REACTIONS


class Comments(Acts):
    """Comments on pull requests and on commits, and reactions to them."""

    def comment(self, pull: Pull, body: str, by: Account | None = None) -> Comment:
        """Comment on a pull request."""
        with self.world.lock:
            now = self.site.clock.now()
            comment = Comment(self.world.new_id(), by or pull.repository.owner, body, now, now)
            pull.comments.append(comment)
            pull.updated_at = now
            self._emit_comment(pull, comment, comment.author, "created")
            return comment

    def edit_comment(self, pull: Pull, comment: Comment, body: str, by: Account | None = None) -> None:
        with self.world.lock:
            changes, who = {"body": {"from": comment.body}}, by or pull.repository.owner
            comment.body, comment.edited_by, comment.updated_at = body, who, self.site.clock.now()
            self._emit_comment(pull, comment, who, "edited", changes=changes)

    def delete_comment(self, pull: Pull, comment: Comment, by: Account | None = None) -> None:
        with self.world.lock:
            pull.comments.remove(comment)
            self._emit_comment(pull, comment, by or pull.repository.owner, "deleted")

    def react(self, comment: Comment, content: str, by: Account) -> Reaction:
        """React to a comment (`+1`, `eyes`, …): nobody hears of it. The same once more changes nothing.

        Raises ValueError for what is none of GitHub's eight.
        """
        if content not in REACTIONS:
            raise ValueError(f"{content!r} is none of {', '.join(REACTIONS)}")
        with self.world.lock:
            for reaction in comment.reactions:
                if (reaction.user, reaction.content) == (by, content):
                    return reaction
            reaction = Reaction(self.world.new_id(), by, content, self.site.clock.now())
            comment.reactions.append(reaction)
            return reaction

    def _emit_comment(self, pull: Pull, comment: Comment, sender: Account, action: str, **more: Any) -> None:
        shapes = self.site.shapes
        shape = shapes.comment(pull, comment, self.site.app)
        payload = {"action": action, **more, "issue": shapes.issue(pull), "comment": shape}
        self.site.emit("issue_comment", pull.repository, sender, payload)

    def comment_on_commit(self, repository: Repository, sha: str, body: str, by: Account | None = None) -> None:
        """Comment on a commit."""
        with self.world.lock:
            who = by or repository.owner
            comment = CommitComment(self.world.new_id(), who, sha, body, self.site.clock.now())
            repository.commit_comments.append(comment)
            shape = self.site.shapes.commit_comment(repository, comment)
            self.site.emit("commit_comment", repository, who, {"action": "created", "comment": shape})
