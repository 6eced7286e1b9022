"""Small invented repositories, one for each way of training that people have; and what is made of them."""

import re
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bot.core import config
from bot.core.config import Config, Loaded
from bot.init.facts import Repository
from bot.init.guess import Proposal, guess
from bot.init.look import look
from bot.init.write import Told, render_config, render_told


def loaded(text: str) -> Loaded:
    return config.load(text.encode(), ".ps_project/config.yaml", lambda _name: b"")


def with_examples(text: str) -> str:
    """Return the config with the `#` taken away from every example, as its first lines tell people to do."""
    return re.sub(r"^( *)#(?=\S| {2,}\S)", r"\1", text, flags=re.MULTILINE)


@dataclass(frozen=True)
class Made:
    """What came of a repository."""

    repository: Repository
    proposal: Proposal
    text: str

    @property
    def told(self) -> str:
        return render_told(self.proposal, self.repository, self.text, Told("/repository", ".ps_project/config.yaml"))

    @property
    def config(self) -> Config:
        """The config as it is written. There is nothing to complain of, always."""
        read = loaded(self.text)
        assert read.problems == ()
        assert read.config is not None
        return read.config

    @property
    def examples(self) -> Config:
        """The config with all of its examples in use."""
        read = loaded(with_examples(self.text))
        known = "No parameter servers: the workers train among themselves"
        assert [problem for problem in read.problems if problem.message != known] == []
        assert read.config is not None
        return read.config

    @property
    def command(self) -> str:
        [workflow] = self.config.workflows
        [step] = workflow.steps
        return str(getattr(step.params, "command", ""))

    @property
    def gates(self) -> dict[str, str]:
        """The proposed gates, by name: aggregate and target."""
        step = self.examples.workflows[0].steps[0]
        return {gate.name: f"{gate.aggregate} {gate.target}" for gate in step.gates}

    def comment(self, about: str) -> str:
        """Return the explanation in which `about` stands, without its marks, on one line."""
        blocks = re.split(r"\n(?! *# )", self.text)
        found = [" ".join(re.findall(r"^ *# (.*)$", block, re.M)) for block in blocks]
        return next((block for block in found if about in block), "")


def lay(root: Path, files: Mapping[str, str]) -> Path:
    """Write the files below `root`."""
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(textwrap.dedent(content).lstrip("\n"))
    return root


def make(root: Path, files: Mapping[str, str]) -> Made:
    """Return what `init` makes of a repository with these files."""
    repository = look(lay(root, files))
    proposal = guess(repository)
    return Made(repository, proposal, render_config(proposal))


TORCH = {
    "train.py": """
        import argparse
        import torch
        from torch.utils.tensorboard import SummaryWriter

        def main():
            parser = argparse.ArgumentParser()
            parser.add_argument("--data", required=True)
            parser.add_argument("--epochs", type=int, default=10)
            parser.add_argument("--lr", type=float, default=1e-3)
            parser.add_argument("--batch-size", type=int, default=64)
            parser.add_argument("--seed", type=int, default=0)
            parser.add_argument("--amp", action="store_true")
            args = parser.parse_args()
            writer = SummaryWriter()
            for epoch in range(args.epochs):
                loss = step()
                loss.backward()
                writer.add_scalar("train/loss", loss, epoch)
                writer.add_scalar("validation/loss", loss, epoch)
                writer.add_scalar("validation/accuracy", 0, epoch)
                writer.add_scalar("lr", args.lr, epoch)

        if __name__ == "__main__":
            main()
        """,
    "README.md": """
        # Faces

            $ python train.py --data data/faces --epochs 20

        The data are in s3://acme-data/faces.tar.gz.
        """,
    "requirements.txt": "torch\ntensorboard\n",
    "docs/index.md": "# Docs\n",
    "tests/test_train.py": "from train import main\n",
}

TORCH_WITH_LOGDIR = {
    "train.py": """
        import argparse, os
        import torch
        from torch.utils.tensorboard import SummaryWriter

        if __name__ == "__main__":
            parser = argparse.ArgumentParser()
            parser.add_argument("--logdir", default="runs")
            parser.add_argument("--output-dir", default="out")
            parser.add_argument("--lr", type=float, default=0.1)
            args = parser.parse_args()
            writer = SummaryWriter(os.path.join(args.logdir, "first"))
            writer.add_scalar("val_acc", 1.0, 0)
        """,
}

KERAS = {
    "train.py": """
        import tensorflow as tf

        model = tf.keras.Sequential()
        model.compile(optimizer="adam", loss="mse", metrics=["accuracy", tf.keras.metrics.AUC(name="auc")])
        callback = tf.keras.callbacks.TensorBoard(log_dir="logs/fit")
        model.fit(x, y, validation_data=(a, b), callbacks=[callback])
        """,
}

TENSORFLOW_WRITERS = {
    "train.py": """
        import datetime
        import tensorflow as tf

        now = datetime.datetime.now().strftime("%H")
        train_writer = tf.summary.create_file_writer("logs/gradient_tape/" + now + "/train")
        test_writer = tf.summary.create_file_writer("logs/test")
        other = tf.summary.create_file_writer("logs/train")
        with tf.GradientTape() as tape:
            pass
        optimizer.apply_gradients([])
        with test_writer.as_default():
            tf.summary.scalar("loss", 1.0, step=1)
            tf.summary.scalar("accuracy", 1.0, step=1)
        """,
}

SKLEARN = {
    "main.py": """
        import joblib
        from sklearn.ensemble import RandomForestClassifier
        from sklearn.metrics import accuracy_score, f1_score

        def main():
            model = RandomForestClassifier().fit([[0]], [0])
            print(accuracy_score([0], [0]), f1_score([0], [0]))

        if __name__ == "__main__":
            main()
        """,
    "setup.py": "from setuptools import setup\nsetup(name='x')\n",
}

XGBOOST = {
    "src/train_model.py": """
        import json
        import xgboost as xgb
        import yaml

        params = yaml.safe_load(open("params.yaml"))
        booster = xgb.train(params, data)
        json.dump({"auc": 0.9}, open("metrics.json", "w"))
        """,
    "params.yaml": "train:\n  eta: 0.3\n  max_depth: 6\nsplit: 1e-1\n",
}

LIGHTGBM = {
    "lgbm/fit.py": """
        import click
        import lightgbm as lgb

        @click.command()
        @click.option("--learning-rate", default=0.05)
        @click.option("--num-leaves", type=int, default=31)
        @click.option("--verbose", is_flag=True)
        @click.argument("table")
        def main(learning_rate, num_leaves, verbose, table):
            lgb.train({}, None)

        if __name__ == "__main__":
            main()
        """,
}

FLAX = {
    "main.py": """
        import jax
        from absl import app, flags
        from flax.metrics.tensorboard import SummaryWriter
        import train

        flags.DEFINE_string("workdir", None, "where to write")
        flags.DEFINE_float("learning_rate", 0.001, "step")
        flags.DEFINE_bool("debug", False, "slowly")

        if __name__ == "__main__":
            app.run(main)
        """,
    "train.py": """
        import jax
        from flax.metrics.tensorboard import SummaryWriter

        def train_and_evaluate(workdir):
            writer = SummaryWriter(workdir)
            writer.scalar("eval_loss", 1.0, 1)
            state = state.apply_gradients(grads=None)
        """,
}

HUGGING_FACE = {
    "finetune.py": """
        from dataclasses import dataclass, field
        from typing import Optional
        from transformers import HfArgumentParser, Trainer, TrainingArguments

        @dataclass
        class DataArguments:
            dataset_name: str
            max_length: int = field(default=128)
            use_cache: bool = True

        def compute_metrics(prediction):
            return {"accuracy": 1.0, "f1": 1.0}

        def main():
            parser = HfArgumentParser((DataArguments, TrainingArguments))
            data_args, training_args = parser.parse_args_into_dataclasses()
            trainer = Trainer(args=training_args, eval_dataset=None, compute_metrics=compute_metrics)
            trainer.train()

        if __name__ == "__main__":
            main()
        """,
}

HUGGING_FACE_PLAIN = {
    "train.py": """
        import wandb
        from transformers import Trainer, TrainingArguments

        args = TrainingArguments("results", num_train_epochs=3)
        trainer = Trainer(args=args, eval_dataset=data)
        trainer.train()
        """,
}

LIGHTNING = {
    "project/model.py": """
        import lightning as L

        class Net(L.LightningModule):
            def training_step(self, batch, index):
                self.log("train_loss", 1.0)

            def validation_step(self, batch, index):
                self.log_dict({"val_loss": 1.0, "val_acc": 1.0})
        """,
    "train.py": """
        import lightning as L
        from project.model import Net

        if __name__ == "__main__":
            trainer = L.Trainer(max_epochs=3)
            trainer.fit(Net())
        """,
}

LIGHTNING_CLI = {
    "main.py": """
        from lightning.pytorch.cli import LightningCLI

        if __name__ == "__main__":
            LightningCLI()
        """,
}

HYDRA = {
    "src/train.py": """
        import hydra
        import torch

        @hydra.main(version_base=None, config_path="../configs", config_name="train")
        def main(cfg):
            loss.backward()

        if __name__ == "__main__":
            main()
        """,
    "configs/train.yaml": "defaults:\n  - optimizer: adam\nseed: 1\nmodel:\n  hidden_dim: 128\n  dropout: 0.1\n",
    "configs/optimizer/adam.yaml": "lr: 0.001\n",
}

TYPER = {
    "cli.py": """
        import typer
        import torch

        app = typer.Typer()

        @app.command()
        def prepare(path: str):
            pass

        @app.command()
        def train(data_dir: str, lr: float = 0.01, verbose: bool = False, layers: int = typer.Option(2)):
            model.fit()

        if __name__ == "__main__":
            app()
        """,
}

FIRE = {
    "run.py": """
        import fire
        import keras

        def main(lr=0.01, output_dir="out", data=None):
            model.fit()

        if __name__ == "__main__":
            fire.Fire(main)
        """,
}

SOURCES = {
    "pyproject.toml": """
        [project]
        name = "faces"
        [project.scripts]
        faces-train = "faces.cli:train"
        faces-serve = "faces.cli:serve"
        """,
    "src/faces/__init__.py": "",
    "src/faces/cli.py": """
        from faces.learn import learn

        def train():
            learn()

        def serve():
            pass
        """,
    "src/faces/learn.py": """
        import torch
        from .log import log

        def learn():
            loss.backward()
            log(1.0)
        """,
    "src/faces/log.py": """
        from gradient_utils.metrics import add_metrics
        from gradient_statsd import Client

        def log(loss):
            add_metrics({"loss": loss, "seen": 1}, step=1)
            Client().gauge("val-error", loss)
        """,
}

PACKAGE = {
    "faces/__init__.py": "",
    "faces/net.py": "import torch\n",
    "faces/train.py": """
        from .net import torch

        if __name__ == "__main__":
            loss.backward()
        """,
}

SCRIPTS = {
    "scripts/train.py": """
        from faces.net import Net

        if __name__ == "__main__":
            Net().fit()
        """,
    "faces/__init__.py": "",
    "faces/net.py": "import keras\n",
}

MAKEFILE = {
    "Makefile": """
        .PHONY: train
        DATA := data

        train: data
        \t@python src/learn.py --lr 0.1 --epochs 3

        train-all:
        \tfor i in 1 2; do python src/learn.py; done
        """,
    "src/learn.py": """
        import argparse
        import torch

        parser = argparse.ArgumentParser()
        parser.add_argument("--lr", type=float, required=True)
        parser.add_argument("--epochs", type=int, required=True)
        parser.add_argument("--output_dir", default="out")
        args = parser.parse_args()
        torch.ones(1).backward()
        """,
}

DVC = {
    "dvc.yaml": """
        stages:
          prepare:
            cmd: python src/prepare.py data
          train:
            cmd: python src/train.py data/features model.pkl
            metrics: [eval/scores.json]
        """,
    "params.yaml": "train:\n  n_estimators: 50\n  seed: 1\n",
    "src/train.py": """
        import sys, yaml
        from sklearn.ensemble import RandomForestClassifier

        params = yaml.safe_load(open("params.yaml"))["train"]
        source, target = sys.argv[1], sys.argv[2]
        RandomForestClassifier().fit(source, target)
        """,
    "src/prepare.py": "import sys\nprepare(sys.argv[1])\n",
}

ARGUMENTS = {"train.py": "import sys, torch\nmodel.fit(sys.argv[2], sys.argv[1])\n"}

TRACKER = {
    "train.py": """
        import torch, wandb

        loss.backward()
        wandb.log({"epoch": 1, "val/loss": loss})
        """,
}

REINFORCEMENT = {
    "train.py": """
        from stable_baselines3 import PPO

        model = PPO("MlpPolicy", env, tensorboard_log="./tb/")
        model.learn(1000)
        """,
}

DISTRIBUTED_TORCH = {
    "train.py": """
        import torch
        import torch.distributed as dist

        def main():
            dist.init_process_group("nccl")
            loss.backward()

        if __name__ == "__main__":
            main()
        """,
}

DISTRIBUTED_IF_ASKED = {
    "train.py": """
        import os
        import torch
        import torch.distributed as dist

        if int(os.environ.get("RANK", -1)) != -1:
            dist.init_process_group("nccl")
        loss.backward()
        """,
}

PARAMETER_SERVERS = {
    "train.py": """
        import json, os
        import tensorflow as tf

        if __name__ == "__main__":
            strategy = tf.distribute.ParameterServerStrategy(resolver)
            model.fit()
        """,
}

MIRRORED = {
    "train.py": """
        import tensorflow as tf

        strategy = tf.distribute.MultiWorkerMirroredStrategy()
        model.fit()
        """,
}

MPI = {
    "train.py": """
        from mpi4py import MPI
        import sklearn

        if __name__ == "__main__":
            model.partial_fit()
        """,
}

HOROVOD = {
    "train.py": """
        import horovod.torch as hvd

        if __name__ == "__main__":
            loss.backward()
        """,
}

NOTHING = {
    "app.py": "from flask import Flask\napp = Flask(__name__)\nif __name__ == '__main__':\n    app.run()\n",
    "main.py": "print('hello')\n",
    "analysis.ipynb": "{}",
    "README.md": "An application.\n",
}

EVERY = {name: value for name, value in globals().items() if name.isupper() and isinstance(value, dict)}
