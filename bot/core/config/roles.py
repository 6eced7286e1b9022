"""Groups of machines in `params`: keys with the group's name before them, such as `workerCommand`."""

from typing import Any

from pydantic import Field
from pydantic.alias_generators import to_camel

from bot.core.config.environment import Credential, CredentialsSection
from bot.core.config.models import Registry, Role
from bot.core.config.section import Loc, Reading
from bot.core.config.values import Count, Directory, File, Line, Path, Text, Truth


class MachineKeys(CredentialsSection):
    """What one machine takes, without a group's name."""

    container: Line | None = Field(None, description="The image, where the backend uses images")
    machine_type: Line | None = Field(None, description="One of the bot's machine types; default: its default")
    container_user: Line | None = None
    registry_username: Credential | None = None
    registry_password: Credential | None = Field(None, description="Write `secret:<name>`")
    registry_url: Line | None = None
    use_dockerfile: Truth | None = None
    dockerfile_path: File | None = None

    @property
    def registry(self) -> Registry:
        return Registry(self.registry_url, self.registry_username, self.registry_password)

    @property
    def dockerfile(self) -> str | None:
        return dockerfile(self.use_dockerfile, self.dockerfile_path)


def dockerfile(use: bool | None, path: str | None) -> str | None:
    """Return the Dockerfile to build from, None when no image is built."""
    return (path or "Dockerfile") if use else None


_FIELDS: dict[str, Any] = {
    "container": (Line | None, None),
    "machine_type": (Line | None, None),
    "command": (Text | None, None),
    "count": (Count | None, None),
    "container_user": (Line | None, None),
    "registry_url": (Line | None, None),
    "registry_username": (Credential | None, None),
    "registry_password": (Credential | None, None),
    "working_directory": (Path | None, None),
    "artifact_directory": (Directory | None, None),
    "use_dockerfile": (Truth | None, None),
    "dockerfile_path": (File | None, None),
}
"""What each group of machines takes."""


def role_fields(*prefixes: str) -> dict[str, Any]:
    """Return the fields of a section that has these groups."""
    return {f"{prefix}_{name}": field for prefix in prefixes for name, field in _FIELDS.items()}


def given_keys(prefix: str, section: CredentialsSection) -> list[str]:
    """Return the fields of a group that are written."""
    names = [f"{prefix}_{name}" for name in _FIELDS]
    return [name for name in names if getattr(section, name) is not None]


def read_role(
    prefix: str, section: CredentialsSection, reading: Reading, loc: Loc, *, needs_command: bool
) -> Role | None:
    """Return the group of machines with this prefix; a missing command or count is an error."""
    needed = {"command": "python train.py"} if needs_command else {}
    needed["count"] = "2" if prefix == "worker" else "1"
    missing = [name for name in needed if getattr(section, f"{prefix}_{name}") is None]
    for name in missing:
        key = to_camel(f"{prefix}_{name}")
        reading.error(f"`{key}` is missing", f"Add `{key}: {needed[name]}`.", reading.key_at(*loc))
    return None if missing else _role(prefix, section)


def read_given_role(prefix: str, section: CredentialsSection) -> Role | None:
    """Return the group of machines with this prefix, None when none of its keys is written."""
    return _role(prefix, section) if given_keys(prefix, section) else None


def _role(prefix: str, section: CredentialsSection) -> Role:
    given = {name: getattr(section, f"{prefix}_{name}") for name in _FIELDS}
    return Role(
        command=given["command"],
        container=given["container"],
        machine_type=given["machine_type"],
        count=given["count"] or 1,
        user=given["container_user"],
        registry=Registry(given["registry_url"], given["registry_username"], given["registry_password"]),
        dockerfile=dockerfile(given["use_dockerfile"], given["dockerfile_path"]),
        workdir=given["working_directory"],
        artifacts=given["artifact_directory"],
    )
