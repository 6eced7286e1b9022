"""Several hosts on one machine for MPI, without ssh: `/generated/hostfile`, and an agent in ssh's place.

mpirun asks its *launch agent* to run one command on each host. Ours writes the command into a directory that it shares
with the host, through a pipe that the host waits at, and waits for the exit code in another. A host is a worker's own
sandbox: own name, own processes, own /tmp, its own limits and log. Nothing here needs more than /bin/sh.
"""

import os
from collections.abc import Mapping
from pathlib import Path

_DIRECTORY = "/generated/mpi"

_AGENT = """#!/bin/sh
# mpirun calls: agent [options of ssh] HOST COMMAND...
while [ $# -gt 0 ]; do
  case "$1" in
    -o|-l|-p) shift 2 ;;
    -*) shift ;;
    *) host=$1; shift; break ;;
  esac
done
directory={directory}/$host
[ -p "$directory/orders" ] || {{ echo "there is no host $host in /generated/hostfile" >&2; exit 255; }}
order=$(/usr/bin/mktemp -u XXXXXXXXXX)
printf '%s\\n' "$*" > "$directory/$order.sh" && /usr/bin/mkfifo "$directory/$order.end" || exit 255
printf '%s\\n' "$order" > "$directory/orders"
read -r code < "$directory/$order.end"
exit "$code"
"""

_HOST = """#!/bin/sh
directory={directory}/$1
exec 3<>"$directory/orders"  # open for both, so that it never comes to an end between two orders
while read -r order <&3; do
  (
    /bin/sh "$directory/$order.sh" </dev/null 3<&-
    echo $? > "$directory/$order.end"
  ) &
done
"""


def prepare(generated: Path, slots: Mapping[str, int], owner: tuple[int, int]) -> None:
    """Write what the tasks of an MPI attempt find at /generated. `slots` are the hosts with their processes each."""
    directory = generated / "mpi"
    directory.mkdir()
    (generated / "hostfile").write_text("".join(f"{host} slots={count}\n" for host, count in slots.items()))
    for name, text in (("agent", _AGENT), ("host", _HOST)):
        (directory / name).write_text(text.format(directory=_DIRECTORY))
        (directory / name).chmod(0o755)
    for host in slots:
        (directory / host).mkdir()
        os.mkfifo(directory / host / "orders", 0o600)
        for path in (directory / host, directory / host / "orders"):
            os.chown(path, *owner)


def host_command(host: str) -> str:
    """Return the command of a worker: it lends itself to mpirun until the master is done."""
    return f"exec /bin/sh {_DIRECTORY}/host {host}"


def variables() -> dict[str, str]:
    """Return what makes a plain `mpirun --hostfile /generated/hostfile` use the agent.

    For Open MPI 4 (OMPI_…) and 5 (PRTE_…). All hosts share one loopback, which is all that there may be.
    """
    agent = f"{_DIRECTORY}/agent"
    return {
        "OMPI_MCA_plm_rsh_agent": agent,
        "PRTE_MCA_plm_ssh_agent": agent,
        "OMPI_MCA_pml": "ob1",
        "OMPI_MCA_osc": "^ucx",
        "OMPI_MCA_btl_tcp_if_include": "lo",
        "OMPI_MCA_oob_tcp_if_include": "lo",
        "PMIX_MCA_ptl_tcp_if_include": "lo",
        "OMPI_MCA_hwloc_base_binding_policy": "none",
        "PRTE_MCA_hwloc_default_binding_policy": "none",
    }
