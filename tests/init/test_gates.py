"""Which way a metric is better, by its name; and what is tried of a hyperparameter, by its name."""

import pytest

from bot.core.gates import Source
from bot.init.facts import Metric, Option
from bot.init.gates import propose_gates
from bot.init.space import searchable, seed, variable


def gate(name: str) -> str:
    """The proposed gate's aggregate and target, empty when there is none."""
    return "".join(f"{one.aggregate} {one.target}" for one in propose_gates([Metric(Source.TENSORFLOW, name, "")]))


@pytest.mark.parametrize(
    ("name", "proposed"),
    [
        ("loss", "min ..0.5"),
        ("Loss/validation", "min ..0.5"),
        ("valLoss", "min ..0.5"),
        ("val_perplexity", "min ..50"),
        ("test.RMSE", "min ..0.5"),
        ("accuracy", "max 0.9.."),
        ("val_acc", "max 0.9.."),
        ("val/acc_top1", "max 0.7.."),
        ("roc_auc", "max 0.9.."),
        ("macro-F1", "max 0.8.."),
        ("mAP", "max 0.5.."),
        ("metrics/mAP50-95", "max 0.5.."),
        ("mIoU", "max 0.5.."),
        ("rougeL", "max 20.."),
        ("lr", ""),
        ("loss_weight", ""),
        ("rollout/ep_rew_mean", "max 100.."),
        ("epoch", ""),
        ("glossary", ""),
        ("", ""),
        ("loss / twice", ""),
        (" loss", ""),
        ("loss\n", ""),
        ("loss\x1b", ""),
        ("loss\udcff", ""),
        ("loss" + "é" * 60, ""),
    ],
)
def test_which_way_is_better(name: str, proposed: str) -> None:
    assert gate(name) == proposed


def test_what_is_held_out_goes_first_and_series_before_documents() -> None:
    names = ["train_loss", "loss", "val_loss", "train_acc", "test_acc"]
    metrics = [Metric(Source.CUSTOM, "loss/last", "", "/loss/last"), *(Metric(Source.TENSORFLOW, n, "") for n in names)]
    assert [one.key for one in propose_gates(metrics)] == [
        "tensorflow:val_loss",
        "tensorflow:test_acc",
        "tensorflow:loss",
        "custom:loss",
        "tensorflow:train_loss",
        "tensorflow:train_acc",
    ]


def test_of_a_documents_numbers_the_telling_one() -> None:
    pointers = ["/accuracy/first", "/accuracy/best", "/params/lr", "/errors/wrong", "/a~1b/loss"]
    found = propose_gates(Metric(Source.CUSTOM, pointer[1:], "", pointer) for pointer in pointers)
    assert [(one.key, one.aggregate, one.objective) for one in found] == [
        ("custom:accuracy", "/accuracy/best", "custom:/accuracy/best"),
        ("custom:wrong", "/errors/wrong", "custom:/errors/wrong"),
        ("custom:loss", "/a~1b/loss", "custom:/a~1b/loss"),
    ]


@pytest.mark.parametrize(
    ("name", "default", "distribution"),
    [
        ("lr", 1e-3, "loguniform(0.0001, 0.01)"),
        ("learning_rate", None, "loguniform(0.0001, 0.01)"),
        ("optimizer.lr", 3e-05, "loguniform(3e-6, 0.0003)"),
        ("lr", -1.0, "loguniform(0.0001, 0.01)"),
        ("lr", float("nan"), "loguniform(0.0001, 0.01)"),
        ("weight_decay", float("inf"), "loguniform(0.0001, 0.01)"),
        ("dropout", 0.1, "uniform(0, 0.5)"),
        ("batch_size", 64, "choice([32, 64, 128])"),
        ("hidden_dim", 0, "choice([16, 32, 64])"),
        ("num_layers", 4, "int(2, 8)"),
        ("max_depth", 10**30, "int(1, 4)"),
        ("epochs", 10, ""),
        ("seed", 0, ""),
        ("lr; id", 0.1, ""),
    ],
)
def test_what_is_tried(name: str, default: float | None, distribution: str) -> None:
    found = searchable([Option(f"--{name}", name, default, is_number=True)])
    assert "".join(one.distribution for one in found) == distribution


def test_only_numbers_are_searched_and_not_too_many() -> None:
    assert searchable([Option("--lr", "lr", "0.1"), Option("--lr", "lr", 0.1, True, takes_value=False)]) == ()
    names = ["units", "depth", "a.dropout", "dropout", "wd", "lr"]
    found = searchable(Option(f"--{name}", name, 8, True) for name in names)
    assert [one.name for one in found] == ["wd", "lr", "a.dropout", "dropout"]


def test_seeds_and_variables() -> None:
    assert seed([Option("--lr", "lr"), Option("--seed", "seed")]) == Option("--seed", "seed")
    assert seed([Option("seed", "train.seed", is_override=True)]) is not None
    assert seed([Option("--seed", "seed", takes_value=False)]) is None
    assert variable(Option("", "train.seed")) == "train_seed"
    assert variable(Option("", "1;x")) == ""
