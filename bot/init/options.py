"""The options of a script's command line: argparse, click, typer, absl, fire, Hugging Face's parser, Lightning's."""

import ast
from collections.abc import Iterator, Sequence
from dataclasses import replace

from bot.init.facts import Option
from bot.init.folding import argument, dotted, keyword, literal, tail, text

Function = ast.FunctionDef | ast.AsyncFunctionDef
_NUMBERS = ("float", "int")
_OUTPUT = Option("--output_dir", "output_dir", is_required=True)
_MOST = 200


def read_options(nodes: Sequence[ast.AST]) -> tuple[tuple[Option, ...], tuple[str, ...]]:
    """Return the options of the script that has these nodes, and its subcommands."""
    functions = [node for node in nodes if isinstance(node, Function)]
    calls = [node for node in nodes if isinstance(node, ast.Call)]
    owners = _subparsers(nodes)
    options = [option for call in calls if (option := _argparse(call, owners) or _absl(call)) is not None]
    commands = list(owners.values())
    for more, command in _decorated(functions):
        options += more
        commands += [command] if command else []
    options += _called_by_fire(calls, functions)
    options += _hugging_face(calls, [node for node in nodes if isinstance(node, ast.ClassDef)])
    options += _of_argv(nodes) if not options else []
    if any(tail(call.func) == "LightningCLI" for call in calls):
        commands.append("fit")
        options.append(Option("--trainer.default_root_dir", "default_root_dir", command="fit"))
    return tuple(options[:_MOST]), tuple(dict.fromkeys(commands))


def _subparsers(nodes: Sequence[ast.AST]) -> dict[str, str]:
    """Return the subcommand of each variable that is assigned from `add_parser`."""
    return {
        tail(node.targets[0]): text(node.value.args[0])
        for node in nodes
        if isinstance(node, ast.Assign)
        and isinstance(node.value, ast.Call)
        and tail(node.value.func) == "add_parser"
        and node.value.args
        and text(node.value.args[0])
    }


def _argparse(call: ast.Call, owners: dict[str, str]) -> Option | None:
    names = [text(one) for one in call.args if text(one)]
    if tail(call.func) != "add_argument" or not names or not isinstance(call.func, ast.Attribute):
        return None
    flags = [name for name in names if name.startswith("-")]
    flag = next((name for name in flags if name.startswith("--")), flags[0] if flags else "")
    action, nargs = keyword(call, "action"), literal(keyword(call, "nargs"))
    is_rest = tail(keyword(call, "nargs") or call) == "REMAINDER" or nargs in ("?", "*", "...")
    is_given = bool(flag) or is_rest or keyword(call, "default") is not None
    option = _option(flag, text(keyword(call, "dest")) or flag or names[0], call)
    return replace(
        option,
        is_required=literal(keyword(call, "required")) is True or not is_given,
        takes_value=action is None or text(action) in ("store", "append"),
        command=owners.get(tail(call.func.value), ""),
    )


def _option(flag: str, name: str, call: ast.Call) -> Option:
    default, kind = literal(keyword(call, "default")), tail(keyword(call, "type") or call)
    return Option(flag, name.lstrip("-").replace("-", "_"), default, _is_number(default, kind))


def _is_number(default: object, kind: str) -> bool:
    return kind in _NUMBERS or (isinstance(default, int | float) and not isinstance(default, bool))


def _of_argv(nodes: Sequence[ast.AST]) -> list[Option]:
    """`sys.argv[2]`: as many arguments as that, of which nothing is known."""
    read = [node.slice for node in nodes if isinstance(node, ast.Subscript) and dotted(node.value) == "sys.argv"]
    numbers = [number for one in read if isinstance(number := literal(one), int) and 0 < number < 10]
    return [Option("", f"argument {number}", is_required=True) for number in range(1, max(numbers, default=0) + 1)]


def _absl(call: ast.Call) -> Option | None:
    """`flags.DEFINE_float("lr", 0.1, "…")`."""
    kind, name = tail(call.func).removeprefix("DEFINE_"), text(argument(call, 0, "name"))
    if kind == tail(call.func) or not name:
        return None
    default = literal(argument(call, 1, "default"))
    is_number = _is_number(default, "int" if kind == "integer" else kind)
    return Option(f"--{name}", name, default, is_number, takes_value=kind not in ("bool", "boolean"))


def _decorated(functions: Sequence[Function]) -> Iterator[tuple[list[Option], str]]:
    """Yield the options of each function that click or typer calls, and its name where there are several."""
    groups = sum(_decorator(function, "command") is not None for function in functions)
    has_group = any(tail(one) == "group" for function in functions for one in _decorators(function))
    for function in functions:
        made = _decorator(function, "command")
        if made is None:
            continue
        is_of_click = dotted(made) == "click.command"
        given = text(argument(made, 0, "name")) if isinstance(made, ast.Call) else ""
        is_one_of_many = not is_of_click and (has_group or groups > 1)
        command = (given or function.name.replace("_", "-")) if is_one_of_many else ""
        options = [option for one in function.decorator_list if (option := _click(one)) is not None]
        if not options and not is_of_click and not has_group:
            options = list(_parameters(function, with_dashes=True))
        yield [replace(option, command=command) for option in options], command


def _decorators(function: Function) -> Iterator[ast.AST]:
    for one in function.decorator_list:
        yield one.func if isinstance(one, ast.Call) else one


def _decorator(function: Function, name: str) -> ast.AST | None:
    for one, called in zip(function.decorator_list, _decorators(function), strict=True):
        if isinstance(called, ast.Attribute) and called.attr == name:
            return one if isinstance(one, ast.Call) and dotted(one.func) != "click.command" else called
    return None


def _click(decorator: ast.AST) -> Option | None:
    if not isinstance(decorator, ast.Call) or tail(decorator.func) not in ("option", "argument"):
        return None
    names = [text(one) for one in decorator.args if text(one)]
    flag = next((name for name in names if name.startswith("--")), "")
    if not names or (tail(decorator.func) == "option" and not flag):
        return None
    option = _option(flag.split("/")[0], flag.split("/")[0] or names[0], decorator)
    is_switch = literal(keyword(decorator, "is_flag")) is True or "/" in flag
    required = literal(keyword(decorator, "required"))
    is_required = required is True or (not flag and required is None and keyword(decorator, "default") is None)
    return replace(option, is_required=is_required, takes_value=not is_switch)


def _called_by_fire(calls: Sequence[ast.Call], functions: Sequence[Function]) -> list[Option]:
    """`fire.Fire(main)` and `typer.run(main)`: the function's parameters are the options."""
    runners = {
        tail(call.args[0]): dotted(call.func) for call in calls if call.args and tail(call.func) in ("Fire", "run")
    }
    found: list[Option] = []
    for function in functions:
        runner = runners.get(function.name, "")
        if runner.endswith("Fire") or runner == "typer.run":
            found += _parameters(function, with_dashes=runner == "typer.run")
    return found


def _parameters(function: Function, with_dashes: bool) -> Iterator[Option]:
    """Yield a function's parameters as options. What has no default is by position in typer, and by name in fire."""
    given = [*function.args.posonlyargs, *function.args.args]
    defaults = [*([None] * (len(given) - len(function.args.defaults))), *function.args.defaults]
    pairs = [*zip(given, defaults, strict=True), *zip(function.args.kwonlyargs, function.args.kw_defaults, strict=True)]
    for parameter, default in pairs:
        name, (kind, how) = parameter.arg, _annotation(parameter.annotation)
        inner = argument(default, 0, "default") if isinstance(default, ast.Call) else default
        how = tail(default.func) if isinstance(default, ast.Call) else how or ("Option" if default else "Argument")
        is_required = inner is None or (isinstance(inner, ast.Constant) and inner.value is ...)
        flag = f"--{name.replace('_', '-')}" if with_dashes else f"--{name}"
        value = literal(inner)
        is_switch = kind == "bool" or isinstance(value, bool)
        yield Option(
            flag="" if with_dashes and how == "Argument" else flag,
            name=name,
            default=value,
            is_number=_is_number(value, kind),
            is_required=is_required,
            takes_value=not is_switch,
        )


def _annotation(node: ast.expr | None) -> tuple[str, str]:
    """Return a parameter's type, and what `Annotated[int, typer.Option()]` makes of it."""
    if not isinstance(node, ast.Subscript) or tail(node.value) != "Annotated" or not isinstance(node.slice, ast.Tuple):
        return (tail(node), "") if node else ("", "")
    how = [tail(one.func) for one in node.slice.elts if isinstance(one, ast.Call)]
    return tail(node.slice.elts[0]), next(iter(how), "")


def _hugging_face(calls: Sequence[ast.Call], classes: Sequence[ast.ClassDef]) -> Iterator[Option]:
    """`HfArgumentParser((ModelArguments, TrainingArguments))`: the dataclasses' fields are the options."""
    for call in calls:
        if tail(call.func) != "HfArgumentParser" or not call.args:
            continue
        first = call.args[0]
        names = {tail(one) for one in (first.elts if isinstance(first, ast.Tuple | ast.List) else [first])}
        if any(name.endswith("TrainingArguments") for name in names):
            yield _OUTPUT
        for one in classes:
            if one.name in names:
                yield from _fields(one)


def _fields(one: ast.ClassDef) -> Iterator[Option]:
    for field in one.body:
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
            inner = field.value
            if isinstance(inner, ast.Call):
                inner = keyword(inner, "default", "default_factory")
            value, kind, name = literal(inner), tail(field.annotation), field.target.id
            is_switch = kind == "bool" or isinstance(value, bool)
            number = _is_number(value, kind)
            yield Option(f"--{name}", name, value, number, inner is None, takes_value=not is_switch)
