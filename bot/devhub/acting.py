"""As whom somebody acts who sits before the pages: a cookie, for there is no login.

Anybody may be anybody here; what they may then do is what GitHub would let them.
"""

from dataclasses import dataclass

from flask import request

from bot.devhub.model import Account, Comment, Pull, Repository, Role, World

COOKIE = "devhub-acting-as"


@dataclass(frozen=True)
class Rights:
    """What `who` may do in a repository (GitHub: "Repository roles for an organization").

    Nothing but reading is left of them where it is archived.
    """

    repository: Repository
    who: Account

    @property
    def comment(self) -> bool:
        return self._has("read")

    @property
    def merge(self) -> bool:
        return self._has("write")

    @property
    def rerun(self) -> bool:
        return self._has("write")

    def change(self, comment: Comment) -> bool:
        """Tell whether they may edit and delete it: their own, or with write access anybody's."""
        return self._has("write") or (comment.author is self.who and self._has("read"))

    def close(self, pull: Pull) -> bool:
        return self._has("triage") or (pull.author is self.who and self._has("read"))

    def draft(self, pull: Pull) -> bool:
        return self._has("write") or (pull.author is self.who and self._has("read"))

    def _has(self, role: Role) -> bool:
        return not self.repository.is_archived and self.repository.grants(self.who, role)


def acting(world: World, default: Account) -> Account:
    """Return as whom the request acts: as `default`, when nobody was chosen."""
    chosen = world.accounts.get(request.cookies.get(COOKIE, "").lower())
    return chosen if chosen is not None and chosen.kind != "Bot" else default


def everybody(world: World) -> list[Account]:
    """Return whom one can act as, by name."""
    return sorted((a for a in world.accounts.values() if a.kind != "Bot"), key=lambda account: account.login.lower())
