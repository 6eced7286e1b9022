"""What a script logs, under which names, and where TensorBoard's files go."""

import ast
import re
from collections.abc import Iterator, Sequence

from bot.core.gates import DOCUMENT
from bot.core.series import Source
from bot.init.facts import Curves, Metric
from bot.init.folding import Folded, Folder, argument, dotted, keyword, tail, text

_MOST = 100
_DEPTH = 4

# What a directory is given to, and the argument's names, the first by position; then where it goes without any.
_WRITERS: dict[str, tuple[tuple[str, ...], str]] = {
    "SummaryWriter": (("log_dir", "logdir"), "runs"),
    "create_file_writer": (("logdir",), ""),
    "FileWriter": (("logdir",), ""),
    "TensorBoard": (("log_dir",), "logs"),
    "TensorBoardLogger": (("save_dir", "root_dir"), ""),
    "create_default_writer": (("logdir",), ""),
}
_ARGUMENTS = ("TrainingArguments", "Seq2SeqTrainingArguments")
_TRACKERS = ("wandb.log", "mlflow.log_metrics", "mlflow.log_metric")
_STATSD = ("gauge", "increment", "decrement")


class Logging:
    """What one file logs. `of` are the packages that it imports: `self.log` means something with Lightning only."""

    def __init__(self, path: str, nodes: Sequence[ast.AST], folder: Folder, of: frozenset[str]) -> None:
        self._path, self._folder = path, folder
        self._nodes, self._of = nodes, of
        self._calls = [node for node in nodes if isinstance(node, ast.Call)]
        self._is_lightning = bool(of & {"lightning", "pytorch_lightning"})

    def metrics(self) -> tuple[Metric, ...]:
        """Return what is logged under names that are written in the code, each name once."""
        found = {
            (metric.source, metric.name): metric
            for call in self._calls
            for metric in (*self._scalars(call), *self._keras(call), *self._trainer(call))
        }
        found |= {(metric.source, metric.name): metric for metric in (*self._documents(), *self._computed())}
        return tuple(found.values())[:_MOST]

    def tracked(self) -> tuple[Metric, ...]:
        """Return what goes to wandb or MLflow, by the names that `add_metrics` would take."""
        found = [
            Metric(Source.LOGGED, re.sub(r"\W", "_", name), self._at(call))
            for call in self._calls
            if dotted(call.func) in _TRACKERS
            for name in (self._keys(argument(call, 0, "data", "metrics")) or [text(argument(call, 0, "key"))])
        ]
        return tuple(metric for metric in found if metric.name and not metric.name[0].isdigit())[:_MOST]

    def unnamed(self) -> tuple[str, ...]:
        """Return the places where something is logged under a name that is put together at run time."""
        return tuple(self._at(call) for call in self._calls if self._tag(call) is not None and not self._names(call))

    def curves(self) -> Iterator[Curves]:
        """Yield where TensorBoard's files go."""
        for call in self._calls:
            writer = self._writer(call)
            if writer is not None:
                how, given, default = writer
                folded = self._folder.fold(given) if given is not None else Folded(default, is_whole=True)
                yield Curves(_directory(folded), folded.option, how, self._at(call))

    def _writer(self, call: ast.Call) -> tuple[str, ast.expr | None, str] | None:
        """Return what is given a directory, the directory, and where it goes without one."""
        how = tail(call.func)
        if how in _WRITERS:
            names, default = _WRITERS[how]
            return how, argument(call, 0, *names), default
        if how in _ARGUMENTS:
            return how, argument(call, 0, "logging_dir", "output_dir"), ""
        if how == "Trainer" and self._is_lightning and keyword(call, "logger") is None:
            return how, keyword(call, "default_root_dir"), "lightning_logs"
        given = keyword(call, "tensorboard_log")
        return ("tensorboard_log", given, "") if given is not None else None

    def _at(self, node: ast.expr) -> str:
        return f"{self._path}:{node.lineno}"

    def _tag(self, call: ast.Call) -> ast.expr | None:
        """Return the argument that names a scalar of TensorBoard."""
        name = tail(call.func)
        if name == "add_scalar" or dotted(call.func).endswith("summary.scalar"):
            return argument(call, 0, "tag", "name")
        if name == "log" and self._is_lightning and dotted(call.func) == "self.log":
            return argument(call, 0, "name")
        return argument(call, 0, "tag") if name == "scalar" and "flax" in self._of else None

    def _names(self, call: ast.Call) -> list[str]:
        tag = self._tag(call)
        if tag is None:
            return []
        folded = self._folder.fold(tag)
        return [folded.text] if folded.is_whole and folded.text and not folded.option else []

    def _scalars(self, call: ast.Call) -> Iterator[Metric]:
        at, name = self._at(call), tail(call.func)
        for tag in self._names(call):
            yield Metric(Source.TENSORFLOW, tag, at)
        if (name == "log_dict" and self._is_lightning) or name == "write_scalars":
            for key in self._keys(argument(call, 1 if name == "write_scalars" else 0, "dictionary", "scalars")):
                yield Metric(Source.TENSORFLOW, key, at)
        if "stable_baselines3" in self._of and keyword(call, "tensorboard_log") is not None:
            yield Metric(Source.TENSORFLOW, "rollout/ep_rew_mean", at)
        if name == "add_metrics" and "gradient_utils" in self._of:
            for key in self._keys(argument(call, 0, "metrics")):
                yield Metric(Source.LOGGED, key, at)
        if name in _STATSD and "gradient_statsd" in self._of and text(argument(call, 0, "metric")):
            yield Metric(Source.LOGGED, text(argument(call, 0, "metric")), at)

    def _keys(self, node: ast.AST | None) -> list[str]:
        found = node if isinstance(node, ast.Dict) else self._folder.assigned(node) if node is not None else None
        return [text(key) for key in found.keys if text(key)] if isinstance(found, ast.Dict) else []

    def _keras(self, call: ast.Call) -> Iterator[Metric]:
        """Keras' callback writes `epoch_<name>` into the runs `train` and `validation`."""
        if tail(call.func) != "TensorBoard":
            return
        fits = [one for one in self._calls if tail(one.func) == "fit"]
        validates = any(keyword(one, "validation_data", "validation_split") is not None for one in fits)
        run = "validation" if validates else "train"
        compiled = [one for one in self._calls if tail(one.func) == "compile"]
        listed = [keyword(one, "metrics") for one in compiled]
        names = [_measure(item) for one in listed if isinstance(one, ast.List | ast.Tuple) for item in one.elts]
        for name in ("loss", *filter(None, names)):
            yield Metric(Source.TENSORFLOW, f"{run}/epoch_{name}", self._at(call))

    def _trainer(self, call: ast.Call) -> Iterator[Metric]:
        """Hugging Face's trainer writes `eval/loss`, and what `compute_metrics` returns."""
        if "transformers" not in self._of or tail(call.func) not in ("Trainer", "Seq2SeqTrainer"):
            return
        if keyword(call, "eval_dataset") is not None:
            yield Metric(Source.TENSORFLOW, "eval/loss", self._at(call))
        yield Metric(Source.TENSORFLOW, "train/loss", self._at(call))

    def _computed(self) -> Iterator[Metric]:
        if "transformers" not in self._of:
            return
        functions = [node for node in self._nodes if isinstance(node, ast.FunctionDef)]
        for function in functions:
            returned = [node.value for node in ast.walk(function) if isinstance(node, ast.Return)]
            for key in (key for one in returned for key in self._keys(one) if function.name == "compute_metrics"):
                yield Metric(Source.TENSORFLOW, f"eval/{key.removeprefix('eval_')}", f"{self._path}:{function.lineno}")

    def _documents(self) -> Iterator[Metric]:
        """Yield the numbers of dictionaries that become JSON, where the file names the document that we read."""
        if not any(text(node).endswith(DOCUMENT) for node in self._nodes):
            return
        for call in self._calls:
            if tail(call.func) in ("dump", "dumps") and call.args:
                given = call.args[0]
                found = given if isinstance(given, ast.Dict) else self._folder.assigned(given)
                for pointer in _pointers(found, "", _DEPTH):
                    yield Metric(Source.CUSTOM, pointer[1:], self._at(call), pointer)


def _directory(folded: Folded) -> str:
    """Return the part of a path that is known by whole names; with an ellipsis where not even one is."""
    if folded.is_whole or not folded.text:
        return folded.text
    above, slash, _ = folded.text.rpartition("/")
    return f"{above}/" if slash else f"{folded.text}…"


def _pointers(node: ast.AST | None, above: str, depth: int) -> Iterator[str]:
    """Yield the JSON pointers of what may be a number."""
    if isinstance(node, ast.Dict) and depth:
        for key, value in zip(node.keys, node.values, strict=True):
            if text(key):
                escaped = text(key).replace("~", "~0").replace("/", "~1")
                yield from _pointers(value, f"{above}/{escaped}", depth - 1)
    elif above and not text(node) and not isinstance(node, ast.Dict | ast.List | ast.ListComp | ast.Tuple | ast.Set):
        yield above


def _measure(node: ast.AST) -> str:
    """Return the name that Keras gives a metric: `"accuracy"`, `AUC(name="auc")`, `SparseCategoricalAccuracy()`."""
    if isinstance(node, ast.Call):
        return text(keyword(node, "name")) or _snake(tail(node.func))
    return text(node) or _snake(tail(node))


def _snake(name: str) -> str:
    parts = [
        f"_{letter}" if letter.isupper() and before.islower() else letter
        for before, letter in zip(name[:1] + name, name, strict=False)
    ]
    return "".join(parts).lower()
