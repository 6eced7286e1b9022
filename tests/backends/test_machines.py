"""Machine types: from a file that may be wrong, or from this machine."""

import sys
from pathlib import Path

import pytest

from bot.backends.base import Capacity, Machine
from bot.backends.machines import Machines, MachinesError, UnknownMachine

FILE = """
default: large
capacity: {cpus: 16, memory: 64GB, gpus: 1}
types:
  small: {cpus: 0.5, memory: 512MB}
  large: {cpus: 8, memory: 32GB, gpus: 1, environment: %s}
"""


def load(tmp_path: Path, text: str) -> Machines:
    path = tmp_path / "machines.yaml"
    path.write_text(text)
    return Machines.load(path)


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    path = tmp_path / "env"
    (path / "bin").mkdir(parents=True)
    return path


def test_types_are_found_by_name(tmp_path: Path, environment: Path) -> None:
    machines = load(tmp_path, FILE % environment)
    assert machines.find("small") == (Machine("small", 0.5, 512), "")
    assert machines.find(None) == (Machine("large", 8, 32_768, 1, str(environment)), "")
    assert machines.capacity == Capacity(16, 65_536, 1)


def test_disk_and_processes_have_defaults_and_can_be_said(tmp_path: Path) -> None:
    machines = load(tmp_path, "types: {a: {memory: 1GB}, b: {memory: 1GB, disk: 50GB, processes: 2000}}")
    a, b = machines.find("a")[0], machines.find("b")[0]
    assert (a.disk_mb, a.processes) == (20_480, 4_096)
    assert (b.disk_mb, b.processes) == (51_200, 2_000)


def test_an_unknown_type_names_the_known_ones(tmp_path: Path, environment: Path) -> None:
    with pytest.raises(UnknownMachine, match=r"no machine type 'K80' here; there are: large, small"):
        load(tmp_path, FILE % environment).find("K80")


def test_without_a_file_this_machine_stands_for_every_name_with_a_warning() -> None:
    machines = Machines.load(None)
    machine, note = machines.find(None)
    assert (machine.name, note, machines.is_derived) == ("default", "", True)
    assert 1 <= machine.cpus <= machines.capacity.cpus
    assert 0 < machine.memory_mb <= machines.capacity.memory_mb
    substitute, note = machines.find("K80")
    assert substitute == machine
    assert "'K80' runs on `default`" in note


def test_the_first_type_is_the_default_and_this_machine_the_capacity(tmp_path: Path) -> None:
    machines = load(tmp_path, "types: {one: {memory: 1MB}, two: {memory: 2MB}}")
    assert machines.find(None)[0].name == "one"
    assert machines.capacity == Machines.load(None).capacity


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "the file must be a mapping"),
        ("[1]", "the file must be a mapping"),
        ("{types: {}}", "names no machine type"),
        ("{types: {a: {memory: 4}}}", "such as 512MB or 4GB, not 4"),
        ("{types: {a: {memory: 4 parsecs}}}", "such as 512MB or 4GB"),
        ("{types: {a: {memory: 0.1MB}}}", "such as 512MB or 4GB"),
        ("{types: {a: {cpus: 1}}}", "`a`: `memory` must be a size"),
        ("{types: {a: {memory: 1MB, cpus: 0}}}", "above 0, not 0"),
        ("{types: {a: {memory: 1MB, cpus: .inf}}}", "above 0"),
        ("{types: {a: {memory: 1MB, cpus: yes}}}", "above 0, not True"),
        ("{types: {a: {memory: 1MB, gpus: -1}}}", "whole number, not -1"),
        ("{types: {a: {memory: 1MB, disk: 4}}}", "`a`: `disk` must be a size such as 512MB or 4GB, not 4"),
        ("{types: {a: {memory: 1MB, processes: 2}}}", "`a`: `processes` must be 16 or more, not 2"),
        ("{types: {a: {memory: 1MB, processes: many}}}", "`a`: `processes` must be a whole number"),
        ("{types: {a: {memory: 1MB, cpu: 1}}}", "`a`: unknown key `cpu`; there are: cpus"),
        ("{types: {a: {memory: 1MB}}, default: b}", "not among the types: a"),
        ("{types: {a: {memory: 2GB}}, capacity: {memory: 1GB}}", "`a` is larger than all there is"),
        ("{types: {a: {memory: 1MB, gpus: 1}}}", "larger than all there is"),
        ("{types: {a: {memory: 1MB, environment: env}}}", "not the absolute path of an environment"),
        ("{types: {a: {memory: 1MB, environment: /no/such}}}", "not the absolute path of an environment"),
        ("{types: {1: {memory: 1MB}}}", "`types` must be a mapping of names"),
        ("{types: {a: 1}", "cannot be read: line 1 is not valid YAML: expected ',' or '}', but got '<stream end>'"),
        ("[" * 1000, "cannot be read"),
    ],
)
def test_a_wrong_file_says_what_and_where(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(MachinesError, match=r"machines\.yaml") as raised:
        load(tmp_path, text)
    assert said in str(raised.value)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(MachinesError, match=r"none\.yaml cannot be read: No such file or directory$"):
        Machines.load(tmp_path / "none.yaml")


def test_the_bots_own_environment_is_refused_under_any_name(tmp_path: Path) -> None:
    link = tmp_path / "alias"
    link.symlink_to(sys.prefix)
    for path in (sys.prefix, link):
        with pytest.raises(MachinesError, match="the bot's own; make another"):
            load(tmp_path, f"{{types: {{a: {{memory: 1MB, environment: '{path}'}}}}}}")
