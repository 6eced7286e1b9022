"""Train on one machine: a trial of the search, or one seed of the matrix.

Usage: python train.py [--lr RATE] [--units N] [--epochs N] [--seed N]
"""

import argparse
import time

import digits
from network import Network
from results import Results

BATCH = 64


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lr", type=float, default=0.1)
    parser.add_argument("--units", type=int, default=32)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds-per-epoch", type=float, default=0.0, help="an epoch takes at least that long")
    arguments = parser.parse_args()

    train, test = digits.load()
    network, results = Network(arguments.units), Results()
    parameters = network.initial(arguments.seed)
    for epoch in range(1, arguments.epochs + 1):
        started = time.monotonic()
        for batch in train.batches(BATCH, seed=epoch):
            parameters -= arguments.lr * network.gradient(parameters, batch)
        loss, accuracy = network.evaluate(parameters, test)
        results.epoch(epoch, loss, accuracy)
        time.sleep(max(0.0, arguments.seconds_per_epoch - (time.monotonic() - started)))
    results.end(loss=loss, accuracy=accuracy, params=vars(arguments))


if __name__ == "__main__":
    main()
