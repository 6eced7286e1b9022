"""The code of private repositories, on the whole road: what a run gets of it, and what it never sees."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.backends.base import BackendUnavailable, Capacity
from bot.backends.local import LocalBackend
from bot.clock import ManualClock, SystemClock
from bot.devhub import DevHub, Repository
from bot.forge.git import basic
from tests.backends.lab import powers
from tests.scenarios.processes import eventually
from tests.scenarios.road import Road
from tests.scenarios.scripted import ScriptedBackend

pytestmark = pytest.mark.service

CONFIG = """\
version: 2
workflows:
  train:
    steps:
      - name: fit
        command: experiment.run_single_node
        params: {command: python3 look.py, submodules: true}
"""
LOOK = """\
import os, pathlib

def show(path):
    try:
        print(path, pathlib.Path(path).read_bytes()[:100_000])
    except OSError as error:
        print(path, error.strerror)

print(dict(os.environ))
for process in [name for name in os.listdir("/proc") if name.isdigit()] + ["self", "thread-self"]:
    for name in ("environ", "cmdline", "mountinfo", "maps", "cgroup"):
        show(f"/proc/{process}/{name}")
    try:
        print([os.path.realpath(descriptor) for descriptor in pathlib.Path(f"/proc/{process}/fd").iterdir()])
    except OSError as error:
        print(process, error.strerror)
for top in (".", "/workspace", "/tmp", "/artifacts", "/storage", "/cache", "/generated", os.environ["HOME"]):
    for directory, names, files in os.walk(top):
        print("in", directory, names, files)
        for name in files:
            show(f"{directory}/{name}")
print("all was seen")
"""


def pushed(hub: DevHub, repository: Repository, work: Path, submodules: dict[str, tuple[str, str]]) -> str:
    """Push a commit with submodules (path → URL and SHA) and the script that looks around, by git itself."""
    work.mkdir()
    env = hub.git_env(repository.owner)

    def git(*arguments: str) -> str:
        person = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org")
        command = ["git", "-C", str(work), *person, *arguments]
        return subprocess.run(command, env=env, check=True, capture_output=True, text=True).stdout.strip()

    git("init", "--quiet", "--initial-branch=main")
    (work / ".ps_project").mkdir()
    (work / ".ps_project/config.yaml").write_text(CONFIG)
    (work / "look.py").write_text(LOOK)
    (work / ".gitmodules").write_text(
        "".join(f'[submodule "{p}"]\npath = {p}\nurl = {url}\n' for p, (url, _) in submodules.items())
    )
    git("add", "--all")
    for path, (_, sha) in submodules.items():
        git("update-index", "--add", "--cacheinfo", f"160000,{sha},{path}")
    git("commit", "--quiet", "-m", "Look around")
    git("push", "--quiet", hub.clone_url(repository), "HEAD:refs/heads/main")
    return git("rev-parse", "HEAD")


@pytest.fixture
def hub(tmp_path: Path, clock: ManualClock) -> Iterator[DevHub]:
    with DevHub(tmp_path / "hub", clock) as hub:
        yield hub


@pytest.mark.parametrize(("is_private", "state"), [(False, "pending"), (True, "failed")])
def test_a_submodule_is_read_as_anybody_would(
    tmp_path: Path, hub: DevHub, clock: ManualClock, is_private: bool, state: str
) -> None:
    """The installation may read both; whoever wrote the commit perhaps not."""
    backend = ScriptedBackend(clock)
    road = Road(tmp_path, hub, clock, backend)
    lib = hub.create_repository("acme", "lib", private=is_private)
    library = hub.commit_files(lib, {"lib.py": "x = 1\n"}, message="First")
    repository = hub.create_repository("acme", "digits", private=True)
    sha = pushed(hub, repository, tmp_path / "work", {"lib": ("../lib", library)})
    road.settle()

    [attempt] = road.attempts()
    assert attempt.state == state
    if is_private:
        assert road.transitions(attempt) == ["created", "pending", "provisioning", "failed"]
        summary = hub.check(repository, sha, "train / fit").output.summary or ""
        assert "the submodule `lib`" in summary
        assert "is private or not there" in summary
    else:
        [spec] = backend.specs.values()
        assert spec.code is not None
        assert [(module.path, module.sha) for module in spec.code.modules] == [("lib", library)]
    road.close()


@pytest.mark.slow
def test_a_run_sees_no_credential_no_remote_and_nothing_of_git(tmp_path: Path, hub: DevHub, clock: ManualClock) -> None:
    try:
        backend = LocalBackend(tmp_path / "data", Capacity(64, 1 << 20, 0), SystemClock(), grace=0.5, powers=powers())
    except BackendUnavailable as error:
        pytest.skip(str(error))
    road = Road(tmp_path, hub, clock, backend)
    library = hub.commit_files(hub.create_repository("acme", "lib"), {"lib.py": "x = 1\n"}, message="First")
    repository = hub.create_repository("acme", "digits", private=True)
    sha = pushed(hub, repository, tmp_path / "work", {"third/lib": (f"{hub.url}/acme/lib", library)})
    road.settle(2)
    [attempt] = road.attempts()
    assert eventually(lambda: backend.poll([attempt.backend_id])[attempt.backend_id].seen[-1].state.is_final, 60.0)
    seen = backend.logs(attempt.backend_id, "worker-0", 0, 1 << 30).data.decode()

    assert "all was seen" in seen, seen[-2000:]
    assert "x = 1" in seen, "the submodule is there"
    answers = hub.requests.find("POST", "/app/installations/{installation_id}/access_tokens")
    tokens = [answer.answer.decode().split('"token":')[1].split('"')[1] for answer in answers]
    assert tokens
    for secret in (*tokens, *map(basic, tokens), "x-access-token", "extraHeader", f"{tmp_path}/data/git"):
        assert secret not in seen
    assert ".git'" not in seen, "no directory or file of that name"
    for told in ("REPO_URL", "SHA"):  # what the ancestor's variables say is said on purpose
        seen = re.sub(rf"PS_GRADIENT_CI_GIT_{told}(=|': ')[a-z0-9:/.]+", "", seen)
    assert f"{hub.url}/acme/digits" not in seen
    assert sha not in seen
    road.close()
