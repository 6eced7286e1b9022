"""Asynchronous training with parameter servers: every task runs this file, TF_CONFIG says which part it plays.

Each worker has its own part of the examples. It takes the parameters as they are, computes a gradient and sends it to
the servers, without waiting for anybody. The chief is a worker too; it also measures, and writes down the results.
"""

import json
import os
import time

import numpy as np

import digits
from digits import Examples
from network import Network
from parameter_server import Parameters, ParameterServer
from results import Results

UNITS, EPOCHS, BATCH, SEED = 32, 12, 32, 0
LEARNING_RATE = float(os.environ.get("LEARNING_RATE", "0.3"))


def main() -> None:
    config = json.loads(os.environ["TF_CONFIG"])
    cluster, role, index = config["cluster"], config["task"]["type"], config["task"]["index"]
    if role == "ps":
        serve(cluster["ps"], index)
        return
    workers = [("chief", 0), *(("worker", number) for number in range(len(cluster.get("worker", []))))]
    train, test = digits.load()
    shards = [train.shard(number, of=len(workers)) for number in range(len(workers))]
    parameters = Parameters(cluster["ps"], worker=f"{role}-{index}")
    results = Results() if role == "chief" else None
    work(parameters, shards[workers.index((role, index))], test, results)
    if results is not None:
        finish(parameters, sum(EPOCHS * len(shard.batches(BATCH, SEED)) for shard in shards), test, results)


def serve(addresses: list[str], index: int) -> None:
    """Hold the slice of the parameters that is this server's."""
    slices = np.array_split(Network(UNITS).initial(SEED), len(addresses))
    ParameterServer(slices[index], LEARNING_RATE).serve(addresses[index])


def work(parameters: Parameters, shard: Examples, test: Examples, results: Results | None) -> None:
    """Send a gradient for each batch of the shard, EPOCHS times over."""
    network = Network(UNITS)
    for epoch in range(1, EPOCHS + 1):
        for batch in shard.batches(BATCH, seed=epoch):
            parameters.push(network.gradient(parameters.pull(), batch))
        if results is not None:
            results.epoch(epoch, *network.evaluate(parameters.pull(), test))
    print(f"sent {EPOCHS} epochs of gradients from {len(shard.labels)} examples")


def finish(parameters: Parameters, expected: int, test: Examples, results: Results) -> None:
    """Wait until the slowest worker has sent its last gradient, then measure what all of them have learned."""
    while sum(parameters.updates().values()) < expected:
        time.sleep(0.1)
    loss, accuracy = Network(UNITS).evaluate(parameters.pull(), test)
    updates = parameters.updates()
    results.epoch(EPOCHS + 1, loss, accuracy)
    results.end(loss=loss, accuracy=accuracy, workers=len(updates), updates=updates)


if __name__ == "__main__":
    main()
