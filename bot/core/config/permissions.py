"""`permissions`: what runs of pull requests may do, at the top level of both versions."""

import re
from enum import StrEnum
from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, Field

from bot.core.config.section import Section, listed, wrong
from bot.core.config.values import choice
from bot.core.permission import Permission


class StorageAccess(StrEnum):
    """What may be done with the project's `/storage`."""

    READ = "read"
    WRITE = "write"


class CommandRole(StrEnum):
    """Who may give commands: this role of GitHub's, or a better one."""

    READ = Permission.READ
    TRIAGE = Permission.TRIAGE
    WRITE = Permission.WRITE
    MAINTAIN = Permission.MAINTAIN
    ADMIN = Permission.ADMIN


class PullsSection(Section):
    """What runs of pull requests may do."""

    storage: Annotated[StorageAccess, choice(StorageAccess)] | None = Field(
        None, description="read (default; what a run writes is thrown away) or write"
    )


_BOT = re.compile(r"[A-Za-z0-9_.-]{1,100}")


def _bot(value: Any) -> str:
    """Return a bot's login as GitHub writes it; people leave its `[bot]` away."""
    name = value.removesuffix("[bot]") if isinstance(value, str) else ""
    if not _BOT.fullmatch(name):
        raise wrong("The name of a bot is expected here", "Write for example `dependabot`.")
    return f"{name}[bot]"


_Bot = Annotated[str, BeforeValidator(_bot)]
_Bots = Annotated[list[_Bot], listed(20, "bots", _Bot | list[_Bot])]


class PermissionsSection(Section):
    """Rights. Only those in the config of the default branch count."""

    advice: ClassVar = {"storage": "Say whose: put it below `pull-requests`."}

    pull_requests: PullsSection | None = Field(None, alias="pull-requests")
    commands: Annotated[CommandRole, choice(CommandRole)] | None = Field(
        None, description="The role that `/experiment` commands need; default: write. `approve` always needs write"
    )
    trusted_bots: _Bots | None = Field(
        None, alias="trusted-bots", description="Bots whose pull requests run as those of people with write access"
    )

    @property
    def pulls_write_storage(self) -> bool:
        return self.pull_requests is not None and self.pull_requests.storage is StorageAccess.WRITE
