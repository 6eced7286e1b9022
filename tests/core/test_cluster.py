"""The variables by which tasks find each other, as TensorFlow, PyTorch and the ancestor's users expect them."""

import base64
import json
from typing import Any

import pytest

from bot.core.cluster import addresses, tensorflow, torch
from bot.core.roles import PARAMETER_SERVER, WORKER

WORKERS = [(WORKER, 0), (WORKER, 1), (WORKER, 2)]
SERVERS = [(PARAMETER_SERVER, 0), (PARAMETER_SERVER, 1)]
WITH_SERVERS = addresses([*WORKERS, *SERVERS], "127.0.0.1", range(10_000, 10_005))
ALONE = addresses(WORKERS, "127.0.0.1", range(10_000, 10_003))


def config(known: dict[tuple[str, int], str], role: str, index: int) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(tensorflow(known, role, index)["TF_CONFIG"])
    return value


def test_with_parameter_servers_the_first_worker_is_the_chief() -> None:
    assert config(WITH_SERVERS, WORKER, 0) == {
        "cluster": {
            "chief": ["127.0.0.1:10000"],
            "worker": ["127.0.0.1:10001", "127.0.0.1:10002"],
            "ps": ["127.0.0.1:10003", "127.0.0.1:10004"],
        },
        "task": {"type": "chief", "index": 0},
    }


def test_without_them_there_is_no_chief_beside_worker_0() -> None:
    assert config(ALONE, WORKER, 0) == {
        "cluster": {"worker": ["127.0.0.1:10000", "127.0.0.1:10001", "127.0.0.1:10002"]},
        "task": {"type": "worker", "index": 0},
    }


def test_one_worker_with_a_server_is_a_chief_without_workers() -> None:
    known = addresses([(WORKER, 0), (PARAMETER_SERVER, 0)], "127.0.0.1", [1, 2])
    assert config(known, WORKER, 0)["cluster"] == {"chief": ["127.0.0.1:1"], "ps": ["127.0.0.1:2"]}


@pytest.mark.parametrize("known", [WITH_SERVERS, ALONE])
def test_every_task_sees_one_cluster_and_its_own_address_in_it(known: dict[tuple[str, int], str]) -> None:
    found = {task: config(known, *task) for task in known}
    assert len({json.dumps(one["cluster"]) for one in found.values()}) == 1
    for task, address in known.items():
        own = found[task]["task"]
        assert found[task]["cluster"][own["type"]][own["index"]] == address


@pytest.mark.parametrize("task", [*WORKERS, *SERVERS])
def test_the_ancestors_variables_tell_the_same(task: tuple[str, int]) -> None:
    variables = tensorflow(WITH_SERVERS, *task)
    assert base64.urlsafe_b64decode(variables["PS_CONFIG"]).decode() == variables["TF_CONFIG"]
    assert json.loads(variables["TF_CONFIG"])["task"] == {
        "type": variables["TYPE"],
        "index": int(variables["INDEX"]),
    }


def test_torch_counts_workers_and_meets_at_a_port_of_its_own() -> None:
    assert torch("127.0.0.1:10005", workers=3, rank=2) == {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": "10005",
        "WORLD_SIZE": "3",
        "RANK": "2",
        "LOCAL_RANK": "0",
        "LOCAL_WORLD_SIZE": "1",
    }


def test_an_address_too_few_is_a_mistake_of_ours() -> None:
    with pytest.raises(ValueError, match="shorter"):
        addresses(WORKERS, "127.0.0.1", [1])
