"""A Python file, read as text: parsed, never imported."""

import ast
import re
import warnings
from collections.abc import Iterator, Sequence

from bot.init.curves import Logging
from bot.init.facts import Distributed, Script
from bot.init.folding import Folder, argument, dotted, tail, text
from bot.init.options import read_options

_MOST = 100
_LONGEST = 200

_LEARNS = (
    "fit",
    "partial_fit",
    "backward",
    "train_on_batch",
    "fit_generator",
    "apply_gradients",
    "manual_backward",
    "learn",
)
_BOOSTERS = ("xgb.train", "lgb.train", "xgboost.train", "lightgbm.train", "trainer.train", "trainer.fit")
_MEASURES = {
    "accuracy_score": "accuracy",
    "balanced_accuracy_score": "accuracy",
    "f1_score": "f1",
    "roc_auc_score": "auc",
    "average_precision_score": "average_precision",
    "log_loss": "loss",
    "mean_squared_error": "mse",
    "root_mean_squared_error": "rmse",
    "mean_absolute_error": "mae",
    "r2_score": "r2",
}
_PREPARATIONS = ("append", "insert", "filterwarnings", "basicConfig", "simplefilter")
_CALLS = {
    "init_process_group": Distributed.TORCH,
    "ParameterServerStrategy": Distributed.TENSORFLOW_SERVERS,
    "MultiWorkerMirroredStrategy": Distributed.TENSORFLOW_WORKERS,
}
_PACKAGES = {"horovod": Distributed.HOROVOD, "mpi4py": Distributed.MPI}
_SECRET = re.compile(r"[A-Z][A-Z0-9_]{0,60}(TOKEN|SECRET|PASSWORD|API_KEY|ACCESS_KEY|ACCESS_KEY_ID)", re.ASCII)
_TRACKERS = {"wandb": "WANDB_API_KEY", "comet_ml": "COMET_API_KEY", "neptune": "NEPTUNE_API_TOKEN"}
_PARAMETERS = re.compile(r"[^\s{}*?:]{1,200}\.(json|ya?ml)")


def read_script(path: str, source: str) -> Script | None:
    """Return what the file at `path` does, None when it is no Python, or none that can be looked at."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of strings like "\d", which the parser complains of
            tree = ast.parse(source)
        return _script(path, tree)
    except Exception:  # hostile sources exhaust the parser in several ways, and none of them is our business
        return None


def _script(path: str, tree: ast.Module) -> Script:
    nodes = list(ast.walk(tree))
    folder, imports = Folder(nodes), _imports(nodes)
    packages = frozenset(name.split(".")[0] for name in imports)
    options, commands = read_options(nodes)
    logging = Logging(path, nodes, folder, packages)
    constants = [text(node) for node in nodes if text(node)]
    return Script(
        path=path,
        imports=imports,
        functions=tuple(node.name for node in tree.body if isinstance(node, ast.FunctionDef)),
        has_guard=any(_is_guard(node) for node in tree.body),
        does_something=any(_acts(node) for node in tree.body),
        trains=_learning(nodes),
        options=options,
        commands=commands,
        hydra=_hydra(nodes),
        metrics=logging.metrics(),
        unnamed=logging.unnamed()[:_MOST],
        curves=tuple(logging.curves())[:_MOST],
        files=_few(one for one in constants if _PARAMETERS.fullmatch(one)),
        measures=_few(_MEASURES[name] for name in (one.rpartition(".")[2] for one in imports) if name in _MEASURES),
        distributed=_distributed(nodes, packages, constants),
        is_launched=_is_launched(nodes),
        secrets=_secrets(constants, packages),
        tracked=logging.tracked(),
    )


def _few(found: Iterator[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(found))[:_MOST]


def _imports(nodes: Sequence[ast.AST]) -> tuple[str, ...]:
    """Return dotted names: of `from a import b` both `a` and `a.b`, for `b` may be a module."""
    found: dict[str, None] = {}
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= dict.fromkeys(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            between = "" if base.endswith(".") or not base else "."
            found |= dict.fromkeys([base, *(f"{base}{between}{alias.name}" for alias in node.names)])
    return tuple(name for name in found if len(name) <= _LONGEST)


def _is_guard(node: ast.AST) -> bool:
    """Tell whether this is `if __name__ == "__main__":`."""
    test = node.test if isinstance(node, ast.If) else None
    return isinstance(test, ast.Compare) and "__name__" in (tail(test.left), *map(tail, test.comparators))


def _acts(node: ast.AST) -> bool:
    """Tell whether this line of a module does more than define."""
    if isinstance(node, ast.For | ast.While | ast.With):
        return True
    call = node.value if isinstance(node, ast.Expr) else None
    return isinstance(call, ast.Call) and tail(call.func) not in _PREPARATIONS


def _learning(nodes: Sequence[ast.AST]) -> str:
    """Return the call by which the file trains, empty when there is none that is known."""
    for node in nodes:
        if isinstance(node, ast.Call):
            if isinstance(node.func, ast.Attribute) and node.func.attr in _LEARNS:
                return node.func.attr
            if tail(node.func) == "LightningCLI":
                return "LightningCLI"
            if dotted(node.func).lower() in _BOOSTERS:
                return dotted(node.func)
    return ""


def _hydra(nodes: Sequence[ast.AST]) -> str:
    """Return the path of Hydra's config, beside the script and without its ending; empty without Hydra."""
    for node in nodes:
        if isinstance(node, ast.Call) and dotted(node.func) == "hydra.main":
            directory = text(argument(node, 0, "config_path")) or "."
            name = text(argument(node, 1, "config_name")) or "config"
            return f"{directory}/{name.removesuffix('.yaml')}"
    return ""


def _distributed(
    nodes: Sequence[ast.AST], packages: frozenset[str], constants: Sequence[str]
) -> tuple[Distributed, ...]:
    calls = [tail(node.func) for node in nodes if isinstance(node, ast.Call)]
    found = [_CALLS[name] for name in calls if name in _CALLS]
    found += [_PACKAGES[name] for name in sorted(packages) if name in _PACKAGES]
    if not found and "TF_CONFIG" in constants:
        found.append(Distributed.TENSORFLOW_SERVERS if "ps" in constants else Distributed.TENSORFLOW_WORKERS)
    return tuple(dict.fromkeys(found))


def _is_launched(nodes: Sequence[ast.AST]) -> bool:
    """Tell whether the file joins a process group whatever happens, and does not start the processes itself."""
    joins = [node for node in nodes if isinstance(node, ast.Call) and tail(node.func) == "init_process_group"]
    if not joins or any(isinstance(node, ast.Call) and tail(node.func) == "spawn" for node in nodes):
        return False
    choices = [node for node in nodes if isinstance(node, ast.If) and not _is_guard(node)]
    chosen = {id(inner) for choice in choices for inner in ast.walk(choice)}
    return any(id(join) not in chosen for join in joins)


def _secrets(constants: Sequence[str], packages: frozenset[str]) -> tuple[str, ...]:
    names = [one for one in constants if _SECRET.fullmatch(one)]
    return _few(iter([*names, *(key for package, key in _TRACKERS.items() if package in packages)]))
