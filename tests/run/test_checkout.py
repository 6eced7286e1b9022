"""What git says of a checkout, and what it must not be made to do by saying it."""

from pathlib import Path

import pytest

from bot.run.checkout import files, look
from bot.run.errors import CannotRun
from tests.run.repository import Repository

pytestmark = pytest.mark.service


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "digits", {"train.py": "print(1)", "sub/data.txt": "1"})


def test_a_checkout_is_told_by_its_branch_its_commit_and_its_origin(repository: Repository) -> None:
    repository.git("remote", "add", "origin", "git@github.com:acme/numbers.git")
    repository.git("switch", "--quiet", "--create", "better")
    found = look(repository.root)
    assert (found.owner, found.name, found.web_url) == ("acme", "numbers", "https://github.com")
    assert (found.branch, found.default_branch) == ("better", "main")
    assert (found.head, found.subject, found.is_whole) == (repository.head, "First", True)


@pytest.mark.parametrize(
    ("origin", "known"),
    [
        ("https://ada:secret@ghe.example:8443/acme/numbers.git", ("https://ghe.example:8443", "acme", "numbers")),
        ("ssh://git@ghe.example:22/acme/numbers", ("https://ghe.example", "acme", "numbers")),
        ("http://127.0.0.1:80/acme/numbers/", ("http://127.0.0.1:80", "acme", "numbers")),
        ("/srv/git/numbers.git", ("https://localhost", "local", "digits")),
        ("https://gitlab.example/group/below/numbers.git", ("https://localhost", "local", "digits")),
        ("https://evil.example/a b/$(x)", ("https://localhost", "local", "digits")),
        ("https://[half/a/b", ("https://localhost", "local", "digits")),
    ],
)
def test_an_origin_is_what_reads_like_githubs_without_its_credential(
    repository: Repository, origin: str, known: tuple[str, str, str]
) -> None:
    repository.git("remote", "add", "origin", origin)
    found = look(repository.root)
    assert (found.web_url, found.owner, found.name) == known


def test_the_default_branch_is_the_one_that_was_cloned(repository: Repository, tmp_path: Path) -> None:
    repository.git("branch", "--move", "trunk")
    repository.git("clone", "--quiet", str(repository.root), str(tmp_path / "clone"))
    assert look(tmp_path / "clone").default_branch == "trunk"


def test_a_folder_of_a_repository_is_a_checkout_of_its_own(repository: Repository) -> None:
    found = look(repository.root / "sub")
    assert (found.name, found.is_whole, found.branch) == ("sub", False, "main")
    listed = files(found.root)
    assert listed is not None
    assert listed.paths == (b"data.txt",)


def test_a_commit_without_a_branch_and_a_repository_without_a_commit(repository: Repository, tmp_path: Path) -> None:
    repository.git("switch", "--quiet", "--detach")
    assert look(repository.root).branch == ""
    (tmp_path / "new").mkdir()
    repository.git("init", "--quiet", "--initial-branch=begin", str(tmp_path / "new"))
    found = look(tmp_path / "new")
    assert (found.branch, found.head, found.is_whole) == ("begin", "", False)


def test_a_directory_without_git_is_one_too(tmp_path: Path) -> None:
    (tmp_path / "my code!").mkdir()
    found = look(tmp_path / "my code!")
    assert (found.name, found.branch, found.default_branch, found.head) == ("my-code", "", "main", "")


def test_what_is_no_directory_is_said(tmp_path: Path) -> None:
    with pytest.raises(CannotRun, match="is no directory"):
        look(tmp_path / "nowhere")


def test_variables_of_a_hook_do_not_lead_elsewhere(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Repository(tmp_path / "other", {"x": "1"})
    monkeypatch.setenv("GIT_DIR", str(other.root / ".git"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(other.root / ".git" / "index"))
    assert look(repository.root).head == repository.head


def test_no_program_that_the_repository_names_is_run(repository: Repository, tmp_path: Path) -> None:
    program, trace = tmp_path / "program", tmp_path / "it-ran"
    program.write_text(f"#!/bin/sh\ntouch {trace}\n")
    program.chmod(0o755)
    for key in ("core.fsmonitor", "filter.x.clean", "diff.external", "core.sshCommand", "gpg.program"):
        repository.git("config", key, str(program))
    repository.git("config", "log.showSignature", "true")
    (repository.root / ".gitattributes").write_text("* filter=x\n")
    look(repository.root)
    files(repository.root)
    assert not trace.exists()
