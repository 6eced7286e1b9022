"""Where an experiment's code comes from, when not from the commit itself."""

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from bot.core.config.environment import Credential, CredentialsSection
from bot.core.config.models import Workspace
from bot.core.config.problems import quote
from bot.core.config.section import Loc, Reading, wrong
from bot.core.config.values import Line, Truth

_GIT_URL = re.compile(r"(https?|ssh)://[\w\[][^\s]*|git@[\w][\w.-]*:[^\s-]\S*")
_S3_URI = re.compile(r"s3://[A-Za-z0-9][^\s/]*(/\S*)?")
# Of http the name alone may be a token; ssh has a name and no secret.
_PASSWORD = re.compile(r"([a-z0-9]+\+)?https?://[^/]*@|[a-z0-9+]+://[^/@:]*:[^/@]*@", re.IGNORECASE)
# What git refuses in a name (git-check-ref-format), and what it would take for an option.
_NO_REF = re.compile(r"^[-/.]|[\s~^:?*\[\\\x7f]|\.\.|@\{|//|/$|\.lock$|\.$")


def _ref(value: Any) -> str:
    if isinstance(value, str) and 0 < len(value) <= 250 and not _NO_REF.search(value):
        return value
    raise wrong("The name of a branch, a tag or a commit is expected here", "Write for example `main` or `v1.2`.")


class WorkspaceKeys(CredentialsSection):
    """The keys of a step's `params` about its code."""

    workspace: Line | None = Field(None, description="`none`, a git URL or `s3://…`; default: this commit")
    workspace_ref: Annotated[str, BeforeValidator(_ref)] | None = None
    workspace_username: Credential | None = None
    workspace_password: Credential | None = Field(None, description="Write `secret:<name>`")
    submodules: Truth | None = Field(None, description="Fetch git's submodules, too; default false")
    lfs: Truth | None = Field(None, description="Fetch the files that Git LFS keeps, too; default false")


def read_workspace(section: WorkspaceKeys, reading: Reading, loc: Loc) -> Workspace:
    """Return the workspace that the `params` at `loc` ask for."""
    source = section.workspace
    if source is not None and source != "none":
        _check_source(source, reading, (*loc, "workspace"))
    if source is None and section.workspace_ref is not None:
        hint = "Name the repository by `workspace`, or delete the key: the code is this commit."
        reading.error("`workspaceRef` without `workspace`", hint, reading.key_at(*loc, "workspaceRef"))
    is_git = source is None or (source != "none" and not source.startswith("s3://"))
    for key in ("submodules", "lfs"):
        if getattr(section, key) and not is_git:
            reading.error(f"`{key}` needs a git repository", "Delete it.", reading.key_at(*loc, key))
    return Workspace(
        source,
        section.workspace_ref,
        section.workspace_username,
        section.workspace_password,
        submodules=bool(section.submodules),
        lfs=bool(section.lfs),
    )


def _check_source(source: str, reading: Reading, at: Loc) -> None:
    if _PASSWORD.match(source):
        hint = "Write `workspaceUsername` and `workspacePassword: secret:<name>`, and revoke this one."
        reading.error("A password stands in the URL of the workspace", hint, reading.value_at(*at))
    elif not (_S3_URI if source.startswith("s3://") else _GIT_URL).fullmatch(source):
        hint = "Write `none`, a git URL or `s3://…`; without the key it is this repository at this commit."
        reading.error(f"{quote(source)} is not a workspace", hint, reading.value_at(*at))
