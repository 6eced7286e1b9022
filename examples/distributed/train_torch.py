"""Synchronous training with torch.distributed; see README.md, for the demo does not install PyTorch.

The bot gives every worker MASTER_ADDR, MASTER_PORT, WORLD_SIZE and RANK: `init_process_group` needs nothing else.
"""

import torch
import torch.distributed as dist
from torch.nn.functional import cross_entropy
from torch.nn.parallel import DistributedDataParallel

import digits
from digits import Examples
from results import Results

UNITS, EPOCHS, BATCH, LEARNING_RATE, SEED = 32, 12, 64, 0.3, 0


def main() -> None:
    dist.init_process_group("gloo")
    rank, workers = dist.get_rank(), dist.get_world_size()
    train, test = digits.load()
    shard = train.shard(rank, of=workers)
    torch.manual_seed(SEED)
    network = torch.nn.Sequential(torch.nn.Linear(64, UNITS), torch.nn.ReLU(), torch.nn.Linear(UNITS, 10))
    model = DistributedDataParallel(network)  # adds up the gradients of all workers
    optimizer = torch.optim.SGD(model.parameters(), lr=LEARNING_RATE)
    results = Results() if rank == 0 else None
    for epoch in range(1, EPOCHS + 1):
        for batch in shard.batches(BATCH // workers, seed=epoch):
            optimizer.zero_grad()
            loss_of(model, batch).backward()
            optimizer.step()
        if results is not None:
            loss, accuracy = evaluate(network, test)
            results.epoch(epoch, loss, accuracy)
    if results is not None:
        results.end(loss=loss, accuracy=accuracy, workers=workers)
    dist.barrier()
    dist.destroy_process_group()


def loss_of(model: torch.nn.Module, examples: Examples) -> torch.Tensor:
    return cross_entropy(model(torch.tensor(examples.images)), torch.tensor(examples.labels).long())


@torch.no_grad()
def evaluate(model: torch.nn.Module, examples: Examples) -> tuple[float, float]:
    correct = model(torch.tensor(examples.images)).argmax(1) == torch.tensor(examples.labels)
    return loss_of(model, examples).item(), correct.float().mean().item()


if __name__ == "__main__":
    main()
