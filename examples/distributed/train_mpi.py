"""Synchronous training with MPI: `mpirun --hostfile /generated/hostfile -np 2 python train_mpi.py`.

Every rank computes the gradient of its own part of the examples; allreduce adds them up, so that all ranks take the
same step and keep the same parameters. Rank 0 writes down the results.
"""

import argparse

import numpy as np
from mpi4py import MPI

import digits
from network import Network
from results import Results

UNITS, EPOCHS, BATCH, SEED = 32, 12, 64, 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lr", type=float, default=0.3)
    arguments = parser.parse_args()

    everybody = MPI.COMM_WORLD
    hosts = everybody.allgather(MPI.Get_processor_name())
    train, test = digits.load()
    shard = train.shard(everybody.rank, of=everybody.size)
    print(f"rank {everybody.rank} of {everybody.size} on {hosts[everybody.rank]}: {len(shard.labels)} examples")

    network = Network(UNITS)
    parameters, total = network.initial(SEED), np.empty_like(network.initial(SEED))
    results = Results() if everybody.rank == 0 else None
    for epoch in range(1, EPOCHS + 1):
        for batch in shard.batches(BATCH // everybody.size, seed=epoch):
            gradient = network.gradient(parameters, batch).astype(np.float32)
            everybody.Allreduce(gradient, total, op=MPI.SUM)
            parameters -= arguments.lr * total / everybody.size
        if results is not None:
            loss, accuracy = network.evaluate(parameters, test)
            results.epoch(epoch, loss, accuracy)

    difference = everybody.allreduce(float(np.abs(parameters - everybody.bcast(parameters)).max()), op=MPI.MAX)
    if results is not None:
        results.end(loss=loss, accuracy=accuracy, ranks=everybody.size, hosts=hosts, difference=difference)


if __name__ == "__main__":
    main()
