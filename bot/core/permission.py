"""What somebody may do in a repository, by GitHub's roles."""

from enum import StrEnum


class Permission(StrEnum):
    """GitHub's roles, from nothing upwards."""

    NONE = "none"
    READ = "read"
    TRIAGE = "triage"
    WRITE = "write"
    MAINTAIN = "maintain"
    ADMIN = "admin"

    def covers(self, needed: "Permission") -> bool:
        """Tell whether this is `needed` or more."""
        order = list(Permission)
        return order.index(self) >= order.index(needed)

    @classmethod
    def of(cls, role_name: str, permission: str) -> "Permission":
        """Return what `GET /repos/{owner}/{repo}/collaborators/{username}/permission` says.

        `permission` folds maintain into write and triage into read; `role_name` does not, but is an organization's own
        word for a custom role.
        """
        known = {one.value: one for one in cls}
        return known.get(role_name) or known.get(permission) or cls.NONE
