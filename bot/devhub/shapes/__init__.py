"""GitHub's JSON for each of its things, the same in REST answers and in webhook payloads.

Complete enough for GitHub's own OpenAPI description and webhook schemas; tests/openapi holds every answer to them.
"""

from bot.devhub.model import RANK, Account, Role
from bot.devhub.shapes.checks import CheckShapes
from bot.devhub.shapes.places import Json
from bot.devhub.shapes.pulls import REACTIONS, PullShapes

__all__ = ["REACTIONS", "Json", "Shapes", "grants"]

# GitHub folds the finer roles into three in this one field; `role_name` has them as they are.
_FOLDED = {"admin": "admin", "maintain": "write", "write": "write", "triage": "read", "read": "read", "none": "none"}
_GRANTS = ("pull", "triage", "push", "maintain", "admin")


class Shapes(CheckShapes, PullShapes):
    """All shapes, for one address of the API (`api`) and one of the pages (`web`)."""

    def permission(self, account: Account, role: Role) -> Json:
        user = self.user(account) | {"permissions": grants(role), "role_name": role}
        return {"permission": _FOLDED[role], "role_name": role, "user": user}


def grants(role: Role) -> dict[str, bool]:
    """Return what a role may do, in GitHub's old words."""
    return {name: RANK[role] > rank for rank, name in enumerate(_GRANTS)}
