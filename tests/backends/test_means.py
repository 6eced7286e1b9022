"""By what means runs can be limited: told by trees of files that look like control groups to a process."""

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from bot.backends.means import Means, find

ALL = "cpuset cpu io memory pids\n"


class Machine:
    """A machine's control groups: files below a directory, and what /proc says of them.

    No kernel looks at what is written there, so a group can always be made, and processes do not really move.
    """

    def __init__(self, root: Path) -> None:
        self.root, self.proc, self.data = root / "cgroup", root / "proc", root / "data"
        self.proc.mkdir()
        self.root.mkdir()
        self._mounts: list[str] = []
        self._own: list[str] = []

    def mount(self, kind: str, options: str, own: str, root: str = "/", directory: str = "") -> Path:
        point = self.root / directory
        number = len(self._mounts)
        self._mounts.append(f"{40 + number} 30 0:{number} {root} {point} rw,nosuid - {kind} {kind} rw,{options}")
        self._own.append(f"{number}:{'' if kind == 'cgroup2' else options}:{own}")
        (self.proc / "mountinfo").write_text("\n".join(self._mounts))
        (self.proc / "cgroup").write_text("\n".join(self._own))
        return point

    def group(
        self, path: str, controllers: str = ALL, enabled: str = "memory pids cpu", pids: tuple[int, ...] = ()
    ) -> Path:
        group = self.root / path
        group.mkdir(parents=True, exist_ok=True)
        (group / "cgroup.controllers").write_text(controllers)
        (group / "cgroup.subtree_control").write_text(enabled)
        (group / "cgroup.procs").write_text("\n".join(map(str, pids)))
        return group

    def find(self) -> Means:
        return find(self.data, self.proc)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def parents(means: Means) -> Mapping[str, str]:
    return {key: value for key, value in vars(means).items() if key in ("memory", "cpu", "pids")}


def test_a_delegated_group_of_version_2_holds_ours(machine: Machine) -> None:
    machine.mount("cgroup2", "nsdelegate", "/user.slice/bot.service/main")
    machine.group("user.slice/bot.service/main", enabled="", controllers="")
    unit = machine.group("user.slice/bot.service")
    means = machine.find()
    assert means.version == 2
    assert set(parents(means).values()) == {str(unit)}
    assert means.cure == ""


def test_only_the_controllers_that_were_delegated_are_used_and_the_rest_is_said(machine: Machine) -> None:
    machine.mount("cgroup2", "rw", "/")
    machine.group("", controllers="memory pids", enabled="memory pids")
    (machine.root / "trial").mkdir()
    means = machine.find()
    assert means.memory == means.pids == str(machine.root)


def test_the_part_of_a_hierarchy_that_a_container_sees_is_found(machine: Machine) -> None:
    machine.mount("cgroup2", "rw", "/docker/abc/sub", root="/docker/abc")
    group = machine.group("sub")
    assert machine.find().memory == str(group)


def test_our_processes_go_down_where_they_are_in_the_way(machine: Machine) -> None:
    """What the kernel refuses with EBUSY cannot be had from files; this is what stands at the end of it."""
    machine.mount("cgroup2", "rw", "/unit/experiment-ci.bot")
    unit = machine.group("unit")
    machine.group("unit/experiment-ci.bot", enabled="", pids=(os.getpid(),))
    assert machine.find().memory == str(unit)


def test_a_hybrid_machine_has_version_1_where_memory_is(machine: Machine) -> None:
    machine.mount("cgroup2", "rw", "/", directory="unified")
    machine.group("unified", controllers="hugetlb", enabled="")
    for name, own in (("memory", "/system/bot"), ("cpu,cpuacct", "/"), ("pids", "/")):
        machine.mount("cgroup", name, own, directory=name)
        machine.group(name + own)
    means = machine.find()
    assert means.version == 1
    assert means.memory == f"{machine.root}/memory/system/bot"
    assert means.cpu == f"{machine.root}/cpu,cpuacct"
    assert means.cure == ""


def test_a_directory_that_was_given_to_us_is_used_and_what_is_missing_is_said(machine: Machine) -> None:
    for name in ("memory", "cpu"):
        machine.mount("cgroup", name, "/not/there", directory=name)
    given = machine.group("memory/experiment-ci")
    means = machine.find()
    assert means == Means(means.owner, 1, memory=str(given), cure=means.cure)
    memory, cpu, pids, disk = means.sentences
    assert memory == "memory: enforced by the kernel (cgroup v1), a run that needs more than its machine has is ended"
    assert "not enforced" in cpu
    assert "counted once a second" in pids
    assert "make the directory experiment-ci in each of" in pids
    assert disk.startswith("disk: looked at every few seconds")


def test_without_control_groups_all_is_watched(machine: Machine) -> None:
    means = machine.find()
    assert means == Means(means.owner)
    assert [sentence.split(":")[0] for sentence in means.sentences] == ["memory", "CPUs", "processes", "disk"]
    assert not any("kernel" in sentence for sentence in means.sentences)


def test_what_version_2_lacks_is_told_with_its_cure(machine: Machine) -> None:
    machine.mount("cgroup2", "rw", "/user.slice/session-1.scope")
    machine.group("user.slice/session-1.scope", controllers="pids")
    means = machine.find()
    assert means.version == 0
    assert "Delegate=yes" in means.sentences[0]


def test_two_installations_never_share_a_group(machine: Machine) -> None:
    assert find(machine.data, machine.proc).owner != find(machine.data / "2", machine.proc).owner
