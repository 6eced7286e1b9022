"""What stands in GitHub's place where a checkout is run: its snapshot, and whoever sits at the machine."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from bot.backends.base import Code
from bot.core import events
from bot.core.permission import Permission
from bot.core.secret import refusal
from bot.forge.git import GitCache, RepositoryId
from bot.forge.git_command import Git, Origin
from bot.forge.lfs import needed
from bot.forge.repo import Repo
from bot.forge.submodules import PartUnavailable
from bot.run.snapshot import Snapshot
from bot.store.secrets import SecretsUnavailable
from bot.worker.configs import OpenRepository, Tip
from bot.worker.fetching import Wanted


class AtHand:
    """`Sources` of a snapshot: all that there is of it is here."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    def look(self) -> None:
        """See `Sources.look`: nothing is on its way."""

    def take(self, wanted: Wanted) -> Code:
        """See `Sources.take`."""
        snapshot, code = self._snapshot, wanted.code
        if code.submodules and snapshot.absent:
            path = snapshot.absent[0]
            raise PartUnavailable(f"the submodule `{path}` is not checked out here: git submodule update --init")
        modules = snapshot.modules if code.submodules else ()
        if code.lfs:
            _refuse_pointers(snapshot.store, code.sha, "")
            for module in modules:
                _refuse_pointers(Path(module.git_dir), module.sha, f"{module.path}/")
        return replace(code, modules=modules)


def _refuse_pointers(store: Path, sha: str, prefix: str) -> None:
    """Raise PartUnavailable where a file of Git LFS is not there: in the checkout there should be the file itself."""
    pointers = needed(Git(store, Origin("")), sha)
    if pointers:
        path = f"{prefix}{pointers[0].path}"
        raise PartUnavailable(f"`{path}` is a pointer of Git LFS, and its file is not here: git lfs pull")


class Snapshots:
    """`Opening` of a snapshot."""

    def __init__(self, git: GitCache) -> None:
        self._git = git

    def open(self, repository: events.Repository, sha: str, ref: str) -> OpenRepository:  # noqa: ARG002 - the protocol's
        """See `Opening.open`."""
        return _OpenSnapshot(self._git, RepositoryId(repository.github_id, repository.owner, repository.name), sha)


class _OpenSnapshot(OpenRepository):
    """A snapshot, which is also the newest commit of every branch: what it says decides, as it would once merged."""

    def __init__(self, git: GitCache, where: RepositoryId, sha: str) -> None:
        super().__init__(git, where, None)
        self._sha = sha

    def tip(self, branch: str) -> Tip:  # noqa: ARG002 - the protocol's
        """See `OpenRepository.tip`."""
        return Tip(self._sha, self.config(self._sha))

    def changed(self, since: str, sha: str) -> Sequence[str] | None:  # noqa: ARG002 - the protocol's
        """See `OpenRepository.changed`: everything may have."""
        return None


class Owner:
    """`Roles` of a machine: whoever can start this may do everything."""

    def permission_of(self, repo: Repo, login: str) -> Permission:  # noqa: ARG002 - the protocol's
        """See `Roles.permission_of`."""
        return Permission.ADMIN


VARIABLE = "SECRET_"
"""What a variable's name begins with that holds a secret: a config can ask for no other variable of this machine."""


def variable_of(secret: str) -> str:
    """Return the environment variable that gives a secret: `SECRET_WANDB_KEY` for `wandb-key`."""
    return VARIABLE + secret.upper().replace("-", "_")


class GivenSecrets:
    """`Secrets` from the environment of whoever runs a checkout."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._given = {name: value for name, value in environ.items() if name.startswith(VARIABLE) and value}

    def missing(self, wanted: Iterable[str]) -> list[str]:
        """Return those of `wanted` that are not given."""
        return [name for name in sorted(set(wanted)) if variable_of(name) not in self._given]

    def reveal(self, owner: str, name: str, wanted: Iterable[str]) -> dict[str, str]:  # noqa: ARG002 - the protocol's
        """See `Secrets.reveal`."""
        names = list(wanted)
        if missing := self.missing(names):
            told = ", ".join(f"`{one}` ({variable_of(one)})" for one in missing)
            raise SecretsUnavailable(f"not given by the environment: the secrets {told}")
        values = {one: self._given[variable_of(one)] for one in names}
        for one, value in values.items():
            if why_not := refusal(value):
                raise SecretsUnavailable(f"the secret `{one}`: {why_not}")
        return values

    def known(self, owner: str, name: str, wanted: Iterable[str]) -> list[str]:  # noqa: ARG002 - the protocol's
        """See `Secrets.known`."""
        return [self._given[variable_of(one)] for one in wanted if variable_of(one) in self._given]
