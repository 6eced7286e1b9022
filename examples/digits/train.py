"""Train a small network on scikit-learn's handwritten digits and leave what the checks look at.

Usage: python train.py [--epochs N] [--seconds-per-epoch S]

Everything that decides the result stands in params.json, the seed is fixed: the same commit gives the same numbers.
"""

import argparse
import json
import os
import time
from pathlib import Path

from sklearn.datasets import load_digits
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from tensorboardX import SummaryWriter

SEED = 7
CLASSES = list(range(10))


def main() -> None:
    params = json.loads(Path(__file__).with_name("params.json").read_text())
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=params["epochs"])
    parser.add_argument("--seconds-per-epoch", type=float, default=0.3, help="an epoch takes at least that long")
    arguments = parser.parse_args()

    images, labels = load_digits(return_X_y=True)
    train_x, test_x, train_y, test_y = train_test_split(
        images / 16, labels, test_size=0.3, random_state=SEED, stratify=labels
    )
    model = MLPClassifier(
        (params["hidden_units"],), learning_rate_init=params["learning_rate"], random_state=SEED
    )

    target = Path(os.environ.get("PS_MODEL_PATH", "/artifacts"))
    target.mkdir(parents=True, exist_ok=True)
    history = []
    with SummaryWriter(str(target / "logs")) as writer:
        for epoch in range(1, arguments.epochs + 1):
            started = time.monotonic()
            model.partial_fit(train_x, train_y, classes=CLASSES)
            loss = log_loss(test_y, model.predict_proba(test_x), labels=CLASSES)
            accuracy = model.score(test_x, test_y)
            history.append({"epoch": epoch, "loss": loss, "accuracy": accuracy})
            writer.add_scalar("loss", loss, epoch)
            writer.add_scalar("accuracy", accuracy, epoch)
            writer.flush()
            print(f"epoch {epoch:2}: loss {loss:.4f}, accuracy {accuracy:.4f}", flush=True)
            time.sleep(max(0.0, arguments.seconds_per_epoch - (time.monotonic() - started)))

    wrong = int((model.predict(test_x) != test_y).sum())
    write_metadata(target, params, history, wrong, len(test_y))
    write_report(target, params, history, wrong, len(test_y))


def write_metadata(target: Path, params: dict, history: list[dict], wrong: int, total: int) -> None:
    document = {
        "params": params,
        "accuracy": {"last": history[-1]["accuracy"], "best": max(epoch["accuracy"] for epoch in history)},
        "loss": {"first": history[0]["loss"], "last": history[-1]["loss"]},
        "errors": {"wrong": wrong, "total": total},
    }
    (target / "gradient-model-metadata.json").write_text(json.dumps(document, indent=2) + "\n")


def write_report(target: Path, params: dict, history: list[dict], wrong: int, total: int) -> None:
    rows = "\n".join(f"| {e['epoch']} | {e['loss']:.4f} | {e['accuracy']:.4f} |" for e in history)
    settings = ", ".join(f"{name} {value}" for name, value in params.items())
    (target / "report.md").write_text(
        f"### Digits\n\n{wrong} of {total} test images were read wrongly ({settings}).\n\n"
        f"| epoch | loss | accuracy |\n|--:|--:|--:|\n{rows}\n"
    )


if __name__ == "__main__":
    main()
