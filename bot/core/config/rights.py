"""What the top level of both versions says about rights: `permissions` and `limits` together."""

from typing import Any

from bot.core.config.limits import LimitsSection, read_limits
from bot.core.config.permissions import PermissionsSection
from bot.core.permission import Permission


def read_rights(permissions: PermissionsSection | None, limits: LimitsSection | None) -> dict[str, Any]:
    """Return the members of a `Config` that count in the default branch's only."""
    given = permissions or PermissionsSection.model_construct(pull_requests=None, commands=None, trusted_bots=None)
    return {
        "pulls_write_storage": given.pulls_write_storage,
        "command_role": None if given.commands is None else Permission(given.commands),
        "trusted_bots": tuple(given.trusted_bots or ()),
        "limits": read_limits(limits),
    }
