"""The file that is written, whole."""

from pathlib import Path

from tests.init.repositories import MPI, TORCH, make

WHOLE = r"""# Which experiments a commit of this repository starts, and what their metrics must be.
# Written by `experiment-ci init`; the bot's docs/config.md explains every key.
#
# Lines that begin with "# " explain. The others with a # are examples: take the # away to use them.
# LOOK stands where init had to guess. When you have looked, say: experiment-ci check-config

version: 2

workflows:
  train:
    # It runs for pushes to the default branch, for pull requests, and in the merge queue. To choose, by regular
    # expressions (a pull request counts by the branch that it is to be merged into):
    #triggers:
    #  branches: {only: [main, release/.*]}
    #  paths: {ignore: [docs/.*, .*\.md]}
    steps:
      - name: fit
        command: experiment.run_single_node

        # How long it may run; without it 24 hours.
        #timeout: 2h

        # The same training once for each value, which is in the variable seed. Add to the command: --seed "$seed"
        #matrix:
        #  seed: [1, 2, 3]

        params:
          # LOOK: is this how it is trained? It is called train.py; it calls backward(); it uses PyTorch; it takes
          # --epochs, --lr, --batch-size.
          # Or is it: python3 ranks.py
          # The README has: python train.py --data data/faces --epochs 20
          # LOOK: only what is below /artifacts is read and kept; train.py:14 puts its curves into runs. Let it be
          # SummaryWriter("/artifacts/logs"), or add to the command: && cp -r runs /artifacts/
          command: python3 train.py --data data/faces

          # How large its machine is: one of the names that whoever runs the bot has chosen. The packages of
          # requirements.txt are to be in that machine's environment.
          #machineType: small
          # Or in an image that is built of the Dockerfile, where the bot's settings allow it.
          #useDockerfile: true

          # Data from S3: they are there before it starts, read-only, at /data/<name>.
          #datasets:
          #  - uri: s3://acme-data/faces.tar.gz

          # Variables of the run. A secret is stored by `experiment-ci secret set`, and never written here.
          #experimentEnv:
          #  MY_TOKEN: secret:MY_TOKEN

        # LOOK: gates become checks that can keep a merge button shut. These metrics were found in the code, but the
        # targets are only examples: push once, look at the curves, then choose. 0.9.. is greater, ..0.5 is less.
        #checks:
        #  defaults: {precision: 3}
        #  tensorflow:validation/loss: {target: ..0.5, aggregate: min}
        #  tensorflow:validation/accuracy: {target: 0.9.., aggregate: max}
        #  tensorflow:train/loss: {target: ..0.5, aggregate: min}

  # ranks.py can be several tasks, each with a machine of its own, by mpi4py. Only the master runs a command; the
  # workers are the hosts that /generated/hostfile names.
  #distributed:
  #  steps:
  #    - name: fit
  #      command: experiment.run_mpi_multi_node
  #      params:
  #        workerCount: 2
  #        masterCommand: mpirun --hostfile /generated/hostfile -np 2 python3 -m mpi4py ranks.py
  #        masterCount: 1

  # A search for hyperparameters. As it stands here, it begins when a branch like tune/first is pushed. No shell reads
  # its command: what stands in braces becomes the trial's value.
  #tune:
  #  triggers:
  #    branches: {only: tune/.*}
  #  steps:
  #    - name: search
  #      command: hyperparameters.run
  #      timeout: 8h
  #      params:
  #        command: python3 train.py --data data/faces --lr {lr} --batch-size {batch_size}
  #        search:
  #          space:
  #            lr: loguniform(0.0001, 0.01)
  #            batch_size: choice([32, 64, 128])
  #          metric: tensorflow:validation/loss
  #          goal: minimize
  #          trials: 20
  #          parallel: 2
  #          pruner: median
"""


def test_all_that_a_config_can_propose(tmp_path: Path) -> None:
    made = make(tmp_path, {**TORCH, "ranks.py": MPI["train.py"], "Dockerfile": "FROM scratch\n"})
    assert made.text == WHOLE
