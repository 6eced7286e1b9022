"""`permissions`: what runs of pull requests may do, at the top level of both versions."""

from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

from bot.core.config.section import Section
from bot.core.config.values import choice


class StorageAccess(StrEnum):
    """What may be done with the project's `/storage`."""

    READ = "read"
    WRITE = "write"


class PullsSection(Section):
    """What runs of pull requests may do."""

    storage: Annotated[StorageAccess, choice(StorageAccess)] | None = Field(
        None, description="read (default; what a run writes is thrown away) or write"
    )


class PermissionsSection(Section):
    """Rights. Only those in the config of the default branch count."""

    advice: ClassVar = {"storage": "Say whose: put it below `pull-requests`."}

    pull_requests: PullsSection | None = Field(None, alias="pull-requests")

    @property
    def pulls_write_storage(self) -> bool:
        return self.pull_requests is not None and self.pull_requests.storage is StorageAccess.WRITE
