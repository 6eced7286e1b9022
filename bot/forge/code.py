"""All that belongs to a commit's code: its files and, where it is asked for, its submodules and what Git LFS keeps."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bot.forge.bare import Bare, check_size
from bot.forge.git import LARGEST_CODE, GitCache, RepositoryId
from bot.forge.lfs import LARGEST_FILES, MOST_FILES, Needed, Objects, needed
from bot.forge.submodules import PartUnavailable, Submodule, Submodules


@dataclass(frozen=True)
class WholeCode:
    """What a checkout needs, all of it on this machine. `objects` is where the files of LFS lie, by their sha256."""

    submodules: tuple[Submodule, ...] = ()
    objects: Path | None = None


def fetch_whole(
    cache: GitCache, repository: RepositoryId, sha: str, token: str, *, submodules: bool, lfs: bool
) -> WholeCode:
    """Make a commit's code local, so that a checkout needs neither network nor credential. Quick when it is.

    Raises PartUnavailable, CodeTooLarge, CommitAbsent, Denied, GitError.
    """
    cache.fetch_code(repository, sha, token)
    bare, modules = cache.bare(repository, token), list[Submodule]()
    if submodules:
        left = LARGEST_CODE - check_size(bare.git, sha, LARGEST_CODE)
        modules = Submodules(cache, repository, token).fetch(sha, left)
    if not lfs:
        return WholeCode(tuple(modules))
    objects = Objects(bare.directory / "lfs", cache.web_url)
    _fetch_objects(objects, cache.url(repository), bare, sha, token, modules)
    return WholeCode(tuple(modules), objects.directory)


def _fetch_objects(
    objects: Objects, url: str, bare: Bare, sha: str, token: str | None, modules: Sequence[Submodule]
) -> None:
    trees = [(url, token, needed(bare.git, sha))]
    for module in modules:
        wanted = needed(module.bare.git, module.sha)
        if wanted and not module.where.is_ours:
            raise PartUnavailable(
                f"the submodule `{module.path}` keeps files in LFS ({wanted[0].path}), which are fetched from"
                " the bot's own GitHub only"
            )
        trees.append((module.where.url, module.token, wanted))
    _check([one for _, _, wanted in trees for one in wanted])
    for address, credential, wanted in trees:
        objects.fetch(address, credential, wanted)


def _check(wanted: Sequence[Needed]) -> None:
    total = sum(one.pointer.size * one.count for one in wanted)
    if len(wanted) > MOST_FILES or total > LARGEST_FILES:
        raise PartUnavailable(
            f"this commit keeps more in LFS than a bot takes: {len(wanted)} files of {total >> 20} MB together;"
            f" {MOST_FILES} files and {LARGEST_FILES >> 20} MB may be"
        )
