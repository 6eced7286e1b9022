"""Which of the logged metrics a gate suits, and which way they should go."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from bot.core.config.checks import POINTER, is_metric
from bot.core.series import Source
from bot.init.facts import Metric
from bot.init.ranking import is_sayable

MOST = 6
_LONGEST = 100
"""Bytes of a metric's name: it becomes part of a check's."""

# What a word says of a metric: less is better, or more is; and a target to begin with.
_LESS = {
    "loss": "..0.5",
    "nll": "..0.5",
    "error": "..0.1",
    "err": "..0.1",
    "mse": "..0.1",
    "rmse": "..0.5",
    "mae": "..0.5",
    "perplexity": "..50",
    "ppl": "..50",
    "wer": "..0.2",
    "cer": "..0.1",
    "fid": "..50",
    "wrong": "..10",
}
_MORE = {
    "accuracy": "0.9..",
    "acc": "0.9..",
    "f1": "0.8..",
    "auc": "0.9..",
    "auroc": "0.9..",
    "precision": "0.8..",
    "recall": "0.8..",
    "iou": "0.5..",
    "miou": "0.5..",
    "dice": "0.8..",
    "map": "0.5..",
    "bleu": "20..",
    "rouge": "20..",
    "rouge1": "20..",
    "rougel": "20..",
    "r2": "0.8..",
    "reward": "100..",
    "rew": "100..",
    "return": "100..",
    "score": "0.8..",
    "psnr": "25..",
    "ssim": "0.8..",
    "ndcg": "0.5..",
    "mrr": "0.5..",
    "top1": "0.7..",
    "top5": "0.9..",
}
_TARGETS = {**_LESS, **_MORE}
_SETTINGS = frozenset({"weight", "weights", "scale", "coef", "coefficient"})
"""A loss's weight is no loss."""
HELD_OUT = frozenset(["val", "valid", "validation", "eval", "evaluation", "dev", "test", "holdout"])
_LEAVES = ("best", "final", "last", "mean", "value")
_WORD = re.compile(r"[A-Z]+(?![a-z])\d*|[A-Z]?[a-z]+\d*|\d+")


@dataclass(frozen=True)
class ProposedGate:
    """A gate to propose. `aggregate` is a JSON pointer for `custom`; `less` tells which way is better."""

    source: Source
    name: str
    aggregate: str
    target: str
    less: bool
    at: str = ""

    @property
    def key(self) -> str:
        """Return it as the config names it."""
        return f"{self.source}:{self.name}"

    @property
    def objective(self) -> str:
        """Return what a search measures of it."""
        return f"{self.source}:{self.aggregate if self.source is Source.CUSTOM else self.name}"


def propose_gates(metrics: Iterable[Metric]) -> tuple[ProposedGate, ...]:
    """Return gates for the metrics whose names say which way is better, those of data held out first."""
    found: dict[str, ProposedGate] = {}
    for metric in sorted(metrics, key=_rank):
        made = _proposed(metric)
        if made is not None:
            found.setdefault(made.key, made)
    return tuple(found.values())[:MOST]


def words(name: str) -> list[str]:
    """Return the words of a metric's name, in lower case: `valLoss/top1` is val, loss, top1."""
    return [word.lower() for word in _WORD.findall(name.replace("mAP", "map").replace("IoU", "iou"))]


def _known(name: str) -> str:
    """Return the last word of a name that says which way is better; `map50` is `map`. Empty when there is none."""
    if _SETTINGS & set(words(name)):
        return ""
    found = [known for word in words(name) for known in (word, word.rstrip("0123456789")) if known in _TARGETS]
    return found[-1] if found else ""


def _proposed(metric: Metric) -> ProposedGate | None:
    name, known = metric.name, _known(metric.name)
    if metric.source is Source.CUSTOM:
        # The last part of a pointer is often only `last` or `mean`.
        name = next((part for part in metric.name.split("/") if _known(part)), "")
    if not known or len(name.encode(errors="replace")) > _LONGEST or not is_metric(name) or not is_sayable(name):
        return None
    if metric.pointer and not (POINTER.fullmatch(metric.pointer) and is_sayable(metric.pointer)):
        return None
    less = known in _LESS
    aggregate = metric.pointer or ("min" if less else "max")
    return ProposedGate(metric.source, name, aggregate, _TARGETS[known], less, metric.at)


def _rank(metric: Metric) -> tuple[bool, bool, bool, int]:
    parts = words(metric.name)
    leaf = parts[-1] if parts else ""
    rank = _LEAVES.index(leaf) if metric.source is Source.CUSTOM and leaf in _LEAVES else len(_LEAVES)
    return not set(parts) & HELD_OUT, "train" in parts, metric.source is Source.CUSTOM, rank
