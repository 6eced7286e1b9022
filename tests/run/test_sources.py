"""What stands in GitHub's place: the code of a snapshot, and secrets from the environment."""

from pathlib import Path

import pytest

from bot.backends.base import Code
from bot.forge.git import RepositoryId
from bot.forge.submodules import PartUnavailable
from bot.run.checkout import look
from bot.run.snapshot import Snapshot, take
from bot.run.sources import AtHand, GivenSecrets, variable_of
from bot.store.secrets import SecretsUnavailable
from bot.worker.fetching import Wanted
from tests.run.repository import Repository

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:{digits}\nsize 12\n".format(digits="0" * 64)


def taken(snapshot: Snapshot, *, submodules: bool = False, lfs: bool = False) -> Code:
    code = Code(str(snapshot.store), snapshot.sha, submodules=submodules, lfs=lfs)
    return AtHand(snapshot).take(Wanted(RepositoryId(1, "local", "digits"), 0, code))


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "digits", {"train.py": "print(1)"})


def snapshot(repository: Repository, home: Path) -> Snapshot:
    return take(look(repository.root), home / "git" / "1.git", home)


@pytest.mark.service
def test_a_pointer_of_lfs_is_named_where_the_config_wants_files(repository: Repository, tmp_path: Path) -> None:
    repository.write({"data/weights.bin": POINTER})
    found = snapshot(repository, tmp_path / "home")
    assert taken(found).lfs is False
    with pytest.raises(PartUnavailable, match=r"`data/weights\.bin` is a pointer of Git LFS.*git lfs pull"):
        taken(found, lfs=True)
    repository.write({"data/weights.bin": "the weights themselves"})
    assert taken(snapshot(repository, tmp_path / "home"), lfs=True).objects is None


@pytest.mark.service
def test_submodules_come_along_where_the_config_wants_them(repository: Repository, tmp_path: Path) -> None:
    library = Repository(tmp_path / "library", {"weights.bin": POINTER})
    repository.git("submodule", "--quiet", "add", str(library.root), "lib")
    found = snapshot(repository, tmp_path / "home")
    assert taken(found).modules == ()
    assert [module.path for module in taken(found, submodules=True).modules] == ["lib"]
    with pytest.raises(PartUnavailable, match=r"`lib/weights\.bin` is a pointer"):
        taken(found, submodules=True, lfs=True)
    repository.git("submodule", "--quiet", "deinit", "--force", "lib")
    with pytest.raises(PartUnavailable, match="`lib` is not checked out here: git submodule update --init"):
        taken(snapshot(repository, tmp_path / "home"), submodules=True)


def test_a_secret_is_given_by_a_variable_of_its_name() -> None:
    assert variable_of("wandb-key") == "SECRET_WANDB_KEY"
    given = GivenSecrets({"SECRET_WANDB_KEY": "hunter22", "WANDB_KEY": "other", "SECRET_EMPTY": ""})
    assert given.reveal("acme", "digits", ["wandb-key"]) == {"wandb-key": "hunter22"}
    assert given.missing(["wandb-key", "empty", "wandb"]) == ["empty", "wandb"]
    assert given.known("acme", "digits", ["wandb-key", "wandb"]) == ["hunter22"]


def test_what_is_not_given_is_named_with_its_variable() -> None:
    with pytest.raises(SecretsUnavailable, match=r"`a` \(SECRET_A\), `b` \(SECRET_B\)"):
        GivenSecrets({}).reveal("acme", "digits", ["b", "a"])


def test_a_secret_that_cannot_be_masked_is_not_given() -> None:
    with pytest.raises(SecretsUnavailable, match="`a`: a secret needs at least 4 characters"):
        GivenSecrets({"SECRET_A": "x"}).reveal("acme", "digits", ["a"])
