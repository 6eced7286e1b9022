"""Which hyperparameters may be searched, and what is tried of each."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from bot.core.space import SpaceError, parse
from bot.init.facts import Option
from bot.init.ranking import is_sayable

MOST = 4
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}", re.ASCII)
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}", re.ASCII)
_RATES = re.compile(r"(.*[._])?(lr|learning_rate|alpha|eta|weight_decay|wd|l1|l2|reg|reg_lambda|gamma)(_init)?")
_SHARES = re.compile(r"(.*[._])?(dropout|drop|dropout_rate|subsample|colsample_bytree)")
_SIZES = re.compile(
    r"(.*[._])?(batch_size|hidden|hidden_size|hidden_units|hidden_dim|units|width|dim|embed_dim|d_model|n_estimators|num_leaves)"
)
_DEPTHS = re.compile(r"(.*[._])?(layers|n_layers|num_layers|depth|max_depth|heads|n_heads|num_heads)")
_KINDS = (_RATES, _SHARES, _SIZES, _DEPTHS)


@dataclass(frozen=True)
class Parameter:
    """An option to search, its distribution, and two or three values to compare."""

    option: Option
    distribution: str
    values: tuple[str, ...]

    @property
    def name(self) -> str:
        return self.option.name


def searchable(options: Iterable[Option]) -> tuple[Parameter, ...]:
    """Return the options that are hyperparameters by their names, learning rates first."""
    found = [
        (kind, made) for option in options if (kind := _kind(option)) is not None and (made := _made(option, kind))
    ]
    by_name = {parameter.name: parameter for _, parameter in sorted(found, key=lambda one: _KINDS.index(one[0]))}
    return tuple(by_name.values())[:MOST]


def seed(options: Iterable[Option]) -> Option | None:
    """Return the option that sets the seed."""
    names = ("seed", "random_seed", "random_state")
    return next((option for option in options if option.name.rpartition(".")[2] in names and option.takes_value), None)


def variable(option: Option) -> str:
    """Return the name of the variable that a matrix gives the option's value in, empty when its name cannot be one."""
    name = option.name.replace(".", "_").replace("-", "_")
    return name if _VARIABLE.fullmatch(name) else ""


def _kind(option: Option) -> re.Pattern[str] | None:
    if (
        not option.is_number
        or not option.takes_value
        or not _NAME.fullmatch(option.name)
        or not is_sayable(option.flag or option.name)
    ):
        return None
    return next((kind for kind in _KINDS if kind.fullmatch(option.name.lower())), None)


def _made(option: Option, kind: re.Pattern[str]) -> Parameter | None:
    default = option.default if isinstance(option.default, int | float) else 0
    distribution, values = _distribution(kind, float(default), isinstance(option.default, float))
    try:
        parse(distribution)
    except SpaceError:
        return None
    return Parameter(option, distribution, values)


def _distribution(kind: re.Pattern[str], default: float, is_real: bool) -> tuple[str, tuple[str, ...]]:
    """Return what is tried around the default, and values for a matrix."""
    if kind is _RATES:
        middle = default if 0 < default < 1e6 else 1e-3
        return f"loguniform({_number(middle / 10)}, {_number(middle * 10)})", (_number(middle / 10), _number(middle))
    if kind is _SHARES:
        return "uniform(0, 0.5)", ("0.1", "0.5")
    whole = int(default) if not is_real and 2 <= default < 1_000_000 else 0
    if kind is _SIZES:
        middle = whole or 32
        return f"choice([{middle // 2}, {middle}, {middle * 2}])", (str(middle // 2), str(middle))
    middle = whole or 2
    return f"int({max(1, middle // 2)}, {middle * 2})", (str(max(1, middle // 2)), str(middle))


def _number(value: float) -> str:
    """Return a number as people write it: 0.001, 1e-4."""
    short = f"{value:.6g}"
    mantissa, _, exponent = short.partition("e")
    return f"{mantissa}e{int(exponent)}" if exponent else short
