"""A script's command made whole: its subcommand, what it must be given, and where it is to write."""

import re
import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from posixpath import normpath

from bot.core.config.models import ARTIFACTS
from bot.init.facts import Curves, Mention, Option, Parameters, Repository, Script
from bot.init.ranking import Candidate, Command, is_sayable

BLANK = "CHANGE-ME"
"""What stands for a value that nobody can guess."""
LOGS = f"{ARTIFACTS}/logs"

_LOGS = re.compile(r"((tb|tensorboard)_?)?log(s|ging)?_?dir|(tb|tensorboard)_(dir|log)")
_OUTPUTS = re.compile(r"(out(put)?|save|results?|run|artifacts?|exp)_?dir|default_root_dir")
_UNSURE = re.compile(r"out|outputs?|save|work_?dir")
"""Directories when their default looks like one."""
_WHERE = re.compile(r"log|out|work|save|run|result|exp|tensorboard")
_COMMANDS = ("train", "fit", "training")


@dataclass(frozen=True)
class Completed:
    """A whole command. `options` are all that it takes, `blanks` those whose value is for a person to say.

    `settled` are the names of the options that lead below `/artifacts`.
    """

    command: Command
    options: tuple[Option, ...] = ()
    blanks: tuple[str, ...] = ()
    settled: frozenset[str] = frozenset()


def complete(candidate: Candidate, repository: Repository) -> Completed:
    """Return the candidate's command with what it cannot do without."""
    script = candidate.script
    if script is None:
        return Completed(candidate.command)
    chosen = _subcommand(script)
    options = tuple(
        option
        for option in (*script.options, *_of_hydra(script, repository.parameters))
        if option.command in ("", chosen) and is_sayable(option.flag or option.name)
    )
    given = _values(options, candidate, repository)
    command = candidate.command
    for part in ("", chosen) if chosen else ("",):
        command = command.with_words(*([part] if part and not candidate.is_whole else []))
        command = command.with_words(*(w for one, value in given if one.command == part for w in one.words(value)))
    well = {option.name for option in options if str(option.default).startswith(ARTIFACTS)}
    return Completed(
        command,
        options,
        blanks=tuple(option.flag or option.name for option, value in given if value == BLANK),
        settled=frozenset(well | {option.name for option, value in given if value.startswith(ARTIFACTS)}),
    )


def _subcommand(script: Script) -> str:
    known = (name for name in script.commands if name in _COMMANDS)
    return next(known, next((name for name in script.commands if "train" in name and is_sayable(name)), ""))


def _values(
    options: tuple[Option, ...], candidate: Candidate, repository: Repository
) -> tuple[tuple[Option, str], ...]:
    """Return the options that are given a value beside what the command has already, each once."""
    path = candidate.script.path if candidate.script else ""
    said = [mention for mention in repository.mentions if path in mention.command]
    written = _written(candidate)
    present = {word.partition("=")[0] for word in candidate.command.words}
    found: list[tuple[Option, str]] = []
    for option in options:
        value = _directory(option, written) or ("" if candidate.is_whole else _required(option, said))
        if value and option.takes_value and option.flag not in present:
            found.append((option, value))
            present |= {option.flag} - {""}
    return tuple(found)


def _written(candidate: Candidate) -> set[str]:
    """Return the names that curves go to. In another file than the options', only those that speak of it."""
    return {
        one.option
        for script in candidate.reach.scripts
        for one in script.curves
        if one.option and (script is candidate.script or _WHERE.search(one.option))
    }


def _required(option: Option, said: Iterable[Mention]) -> str:
    """Return the value that a required option is given, empty for one that is well without."""
    if not option.is_required:
        return ""
    return next((value for mention in said if (value := _given(option, mention)) and is_sayable(value)), BLANK)


def _directory(option: Option, written: set[str]) -> str:
    default = option.default if isinstance(option.default, str) else ""
    if default.startswith(ARTIFACTS) or option.is_number:
        return ""
    if _LOGS.fullmatch(option.name) or (option.name in written and not _OUTPUTS.fullmatch(option.name)):
        return LOGS
    looks_like_one = bool(default) and not PurePosixPath(default).suffix
    return ARTIFACTS if _OUTPUTS.fullmatch(option.name) or (_UNSURE.fullmatch(option.name) and looks_like_one) else ""


def _given(option: Option, mention: Mention) -> str:
    """Return the value that a README's command gives an option."""
    try:
        words = shlex.split(mention.command)
    except ValueError:
        return ""
    for word, after in zip(words, [*words[1:], ""], strict=True):
        if option.flag and word == option.flag and not after.startswith("-"):
            return after
        if option.flag and word.startswith(f"{option.flag}="):
            return word.partition("=")[2]
    return ""


def _of_hydra(script: Script, parameters: tuple[Parameters, ...]) -> Iterator[Option]:
    """Yield what Hydra lets be overridden: the values of its config, and of groups that have one file only."""
    if not script.hydra:
        return
    yield Option("hydra.run.dir", "output_dir", is_override=True)
    parent = PurePosixPath(script.path).parent
    main = PurePosixPath(normpath(parent / script.hydra))
    groups = [PurePosixPath(one.path).parent for one in parameters]
    for one in parameters:
        path = PurePosixPath(one.path)
        is_only_one = path.parent.parent == main.parent and groups.count(path.parent) == 1
        if path.with_suffix("") != main and not is_only_one:
            continue
        above = "" if path.with_suffix("") == main else f"{path.parent.name}."
        for name, value in one.values:
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            yield Option(above + name, above + name, value, is_number, is_override=True)


def elsewhere(candidate: Candidate, settled: frozenset[str]) -> tuple[Curves, ...]:
    """Return where TensorBoard's files go that would not be found: not below `/artifacts`, as far as one can tell.

    A directory that is not known is told when no other is.
    """
    curves = [one for script in candidate.reach.scripts for one in script.curves]
    well = _written(candidate) & settled
    told = [replace(one, directory="" if one.option else one.directory) for one in curves if one.option not in well]
    lost = {(one.how, one.directory): one for one in told if not one.directory.startswith(ARTIFACTS)}
    known = [one for one in lost.values() if one.directory]
    return tuple(known or (lost.values() if len(told) == len(curves) == len(lost) else ()))[:2]
