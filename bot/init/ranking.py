"""Which command trains: every script of a repository, with what speaks for it and against it."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from bot.core.config.document import FORBIDDEN
from bot.init.facts import Entry, Recipe, Repository, Script
from bot.init.reach import NOTHING, SOURCES, Modules, Reach

ENOUGH = 50
"""From here on a script is believed to train."""

PYTHON = "python3"
TORCHRUN = ("torchrun", "--standalone", "--nproc_per_node=1")
"""`torch.distributed` on one machine: it gives the variables that `init_process_group` waits for."""
_FRAMEWORKS = {
    "torch": "PyTorch",
    "tensorflow": "TensorFlow",
    "keras": "Keras",
    "sklearn": "scikit-learn",
    "xgboost": "XGBoost",
    "lightgbm": "LightGBM",
    "catboost": "CatBoost",
    "jax": "JAX",
    "flax": "Flax",
    "transformers": "Transformers",
    "stable_baselines3": "Stable-Baselines3",
    "lightning": "Lightning",
    "pytorch_lightning": "Lightning",
}
_TELLING = re.compile(r"((num|n|max)_)?(epochs|steps)|lr|learning_rate|batch_size")
_NOT_TRAINING = re.compile(
    r"(test|eval|predict|infer|serve|export|preprocess|prepare|download|plot|setup|conftest|util|convert|demo|bench|noxfile)"
)
_ELSEWHERE = {
    "tests": 80,
    "test": 80,
    "docs": 80,
    "doc": 80,
    "examples": 30,
    "example": 30,
    "benchmarks": 40,
    "legacy": 40,
}
_LAUNCHERS = ("python", "python3", "torchrun", "accelerate", "mpirun", "bash", "sh")
_SHELL = frozenset("$`;&|<>(){}*?~#!")


@dataclass(frozen=True)
class Command:
    """A command: words, and the directory in which Python is to look for modules, if it would not by itself."""

    words: tuple[str, ...]
    path: str = ""

    def shell(self) -> str:
        """Return it as a shell reads it."""
        setting = f"PYTHONPATH={shlex.quote(self.path)} " if self.path else ""
        return setting + shlex.join(self.words)

    def plain(self) -> str:
        """Return it for a place where no shell reads it, and braces have a meaning (a search)."""
        return self.as_program().replace("{", "{{").replace("}", "}}")

    def as_program(self) -> str:
        """Return it as a program with its words, to be put behind another one."""
        return shlex.join(("env", f"PYTHONPATH={self.path}", *self.words) if self.path else self.words)

    def alone(self) -> "Command":
        """Return it as one of several tasks that meet by themselves: without `torchrun`."""
        is_joint = self.words[: len(TORCHRUN)] == TORCHRUN
        return replace(self, words=(PYTHON, *self.words[len(TORCHRUN) :])) if is_joint else self

    def with_words(self, *more: str) -> "Command":
        return replace(self, words=(*self.words, *more))


@dataclass(frozen=True)
class Candidate:
    """A command that may train, and why. `script` is None for one that is known by its name alone.

    `is_whole` says that the repository itself writes the command so: nothing is missing in it.
    """

    command: Command
    score: int
    reasons: tuple[str, ...]
    script: Script | None = None
    reach: Reach = NOTHING
    is_whole: bool = False


def frameworks(scripts: tuple[Script, ...]) -> tuple[str, ...]:
    """Return the names of the machine-learning libraries that these files import."""
    packages = {name.split(".")[0] for script in scripts for name in script.imports}
    return tuple(dict.fromkeys(shown for name, shown in _FRAMEWORKS.items() if name in packages))


def is_sayable(text: str) -> bool:
    """Tell whether a config may hold this text, on one line: what is run must be what is read."""
    return bool(text) and not FORBIDDEN.search(text) and "\n" not in text and "\t" not in text and len(text) <= 500


def rank(repository: Repository) -> tuple[Candidate, ...]:
    """Return what may train, the likeliest first. All of it can be said in a config."""
    modules = Modules(repository.scripts)
    found = [_candidate(script, modules, repository) for script in repository.scripts if is_sayable(script.path)]
    found += [candidate for entry in repository.entries if (candidate := _entry(entry, modules)) is not None]
    found += list(_shell_scripts(repository.names))
    found += [
        _target(recipe) for recipe in repository.recipes if recipe.file == "Makefile" and is_sayable(recipe.target)
    ]
    likely = [candidate for candidate in found if candidate is not None and candidate.score >= ENOUGH]
    best: dict[tuple[str, ...], Candidate] = {}
    for candidate in sorted(likely, key=lambda one: (-one.score, one.command.shell())):
        best.setdefault(candidate.command.words, candidate)
    return tuple(best.values())


def _candidate(script: Script, modules: Modules, repository: Repository) -> Candidate | None:
    if not script.is_runnable:
        return None
    command, reach = _python(script, modules)
    points = [
        *_by_name(script.path),
        *_by_content(script, reach),
        *_by_mentions(script, command, repository),
    ]
    score, reasons = sum(weight for weight, _ in points), tuple(reason for _, reason in points if reason)
    spelled = next(filter(None, (_spelled(recipe, script) for recipe in repository.recipes)), None)
    return Candidate(spelled or command, score, reasons, script, reach, is_whole=spelled is not None)


def _python(script: Script, modules: Modules) -> tuple[Command, Reach]:
    """Return how Python is to run a script so that it finds what it imports."""
    home = "/".join(PurePosixPath(script.path).parts[:-1])
    as_script = modules.reach(script, home)
    start = TORCHRUN if any(reached.is_launched for reached in as_script.scripts) else (PYTHON,)
    base, name = modules.package(script.path)
    is_relative = any(one.startswith(".") for one in script.imports)
    is_of_package = any(one.split(".")[0] == name.split(".")[0] for one in script.imports) if name else False
    if name and (is_relative or is_of_package or script.path.endswith("/__main__.py")):
        return Command((*start, "-m", name), base), modules.reach(script, base)
    path = f"./{script.path}" if script.path.startswith("-") else script.path
    return Command((*start, path), ":".join(as_script.paths)), as_script


def _by_name(path: str) -> Iterator[tuple[int, str]]:
    place = PurePosixPath(path)
    stem = place.stem.lower()
    if stem in ("train", "training", "trainer"):
        yield 60, f"it is called {place.name}"
    elif stem.startswith(("train", "finetune", "fine_tune", "pretrain", "fit")) or stem.endswith(
        ("_train", "-train", "_trainer")
    ):
        yield 50, f"it is called {place.name}"
    elif stem in ("main", "run", "__main__", "experiment"):
        yield 20, f"it is called {place.name}"
    if _NOT_TRAINING.match(stem) or stem.endswith("_test"):
        yield -60, ""
    folders = [part.lower() for part in place.parts[:-1]]
    yield -3 * len(folders) - max([_ELSEWHERE.get(folder, 0) for folder in folders], default=0), ""


def _by_content(script: Script, reach: Reach) -> Iterator[tuple[int, str]]:
    yield (10, "") if script.has_guard else (0, "")
    if script.trains:
        yield 25, f"it calls {script.trains}()"
    elif any(one.trains for one in reach.scripts):
        yield 15, "what it imports trains"
    own, all_of_them = frameworks((script,)), frameworks(reach.scripts)
    if own or all_of_them:
        yield (15 if own else 10), f"it uses {_listed(own or all_of_them)}"
    telling = [option.flag for option in script.options if _TELLING.fullmatch(option.name) and option.flag]
    if telling:
        yield 15, f"it takes {_listed(tuple(telling))}"
    if any(one.metrics for one in reach.scripts):
        yield 10, "it logs metrics"
    if script.hydra:
        yield 10, "it is configured by Hydra"


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(names[:3]) + (" …" if len(names) > 3 else "")


def _by_mentions(script: Script, command: Command, repository: Repository) -> Iterator[tuple[int, str]]:
    recipes = [one for one in repository.recipes if any(_runs(line, script, command) for line in one.lines)]
    for recipe in recipes[:1]:
        yield 40, f"{recipe.file} runs it to train"
    files = {mention.file for mention in repository.mentions if _runs(mention.command, script, command)}
    for file in sorted(files)[:1]:
        yield 20, f"{file} runs it"


def _runs(line: str, script: Script, command: Command) -> bool:
    words = re.split(r"[\s\"',\[\]]+", line)
    module = command.words[command.words.index("-m") + 1] if "-m" in command.words else ""
    return any(word.removeprefix("./") == script.path for word in words) or (bool(module) and module in words)


def _spelled(recipe: Recipe, script: Script) -> Command | None:
    """Return what a Makefile's target runs, where that is one plain command of this script."""
    line = recipe.lines[0] if len(recipe.lines) == 1 else ""
    if not is_sayable(line) or _SHELL & set(line):
        return None
    try:
        words = shlex.split(line)
    except ValueError:
        return None
    if len(words) < 2 or words[0] not in _LAUNCHERS or script.path not in [word.removeprefix("./") for word in words]:
        return None
    return Command((PYTHON if words[0] == "python" else words[0], *words[1:]))


def _entry(entry: Entry, modules: Modules) -> Candidate | None:
    """Return a console script's function, called by itself: a run finds the project's code, not installed."""
    script = modules.at(entry.module)
    if script is None or "train" not in f"{entry.name}{entry.function}".lower() or not is_sayable(entry.name):
        return None
    base, name = modules.package(script.path)
    base = base or (SOURCES if script.path.startswith(f"{SOURCES}/") else "")
    call = f"from {entry.module} import {entry.function}; {entry.function}()"
    words = (PYTHON, "-m", name) if script.has_guard and name == entry.module else (PYTHON, "-c", call)
    reach = modules.reach(script, base)
    points = [(50, f"the project calls it {entry.name}"), *_by_content(script, reach)]
    score = sum(weight for weight, _ in points)
    return Candidate(Command(words, base), score, tuple(reason for _, reason in points if reason), script, reach)


def _shell_scripts(names: tuple[str, ...]) -> Iterator[Candidate]:
    for name in names:
        place = PurePosixPath(name)
        if place.suffix == ".sh" and place.stem.lower().startswith("train") and is_sayable(name):
            path = f"./{name}" if name.startswith("-") else name
            yield Candidate(Command(("bash", path)), ENOUGH, (f"it is called {place.name}",))


def _target(recipe: Recipe) -> Candidate:
    words = ("make", recipe.target)
    return Candidate(Command(words), ENOUGH + 1, (f"the Makefile has the target {recipe.target}",))
