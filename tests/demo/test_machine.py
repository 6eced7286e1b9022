"""What the demo makes of a machine: what it leaves out there, and how many experiments fit at once."""

from pathlib import Path

import yaml

from bot.backends.machines import Machines
from bot.demo import machine


def test_without_isolation_there_are_single_nodes_only() -> None:
    missing = machine.left_out("bubblewrap is missing")
    assert set(missing) == {"grpc", "mpi", "search"}
    assert "apt-get install bubblewrap" in missing["search"]


def test_without_mpirun_mpi_is_left_out(tmp_path: Path) -> None:
    assert machine.left_out("", programs=str(tmp_path)) == {"mpi": "mpirun is missing: apt-get install openmpi-bin"}
    mpirun = tmp_path / "mpirun"
    mpirun.touch(mode=0o755)
    assert machine.left_out("", programs=str(tmp_path)) == {}


def test_three_nodes_fit_beside_a_single_machine(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    file = tmp_path / "machines.yaml"
    file.write_text(yaml.safe_dump(machine.types(tmp_path)))
    machines = Machines.load(file)
    small, node = machines.types["small"], machines.types["node"]
    assert machines.default == "small"
    if machines.capacity.cpus >= 2:
        assert small.cpus + 3 * node.cpus <= machines.capacity.cpus
    assert 3 * node.cpus <= machines.capacity.cpus
