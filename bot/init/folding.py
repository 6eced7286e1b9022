"""What an expression will be, as far as that can be told without running it."""

import ast
from collections.abc import Iterable
from dataclasses import dataclass

from bot.core.config.models import ARTIFACTS
from bot.init.facts import Value

_DEPTH = 12
_SAME = frozenset({"str", "Path", "PurePath", "PosixPath", "abspath", "expanduser", "fspath", "normpath", "resolve"})
_MODEL_PATH = "PS_MODEL_PATH"


@dataclass(frozen=True)
class Folded:
    """A text: what is known of its beginning, the name that stands before that, and whether that is all."""

    text: str = ""
    option: str = ""
    is_whole: bool = False

    def then(self, other: "Folded", between: str = "") -> "Folded":
        """Return this one with another behind it."""
        if not self.is_whole:
            return self
        text = self.text + (between if self.text or self.option else "") + other.text
        option = self.option or ("" if self.text else other.option)
        return Folded(text, option, other.is_whole and not (other.option and self.text))


UNKNOWN = Folded()


def tail(node: ast.AST) -> str:
    """Return the last name of `a.b.c` or `c`, empty for anything else."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def dotted(node: ast.AST) -> str:
    """Return `a.b.c` as it is written; what comes from something else than names is left out."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if isinstance(node, ast.Name):
        parts.append(node.id)
    return ".".join(reversed(parts))


def text(node: ast.AST | None) -> str:
    """Return the text that a constant is, empty for anything else."""
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def literal(node: ast.AST | None) -> Value:
    """Return the text, number or truth value that is written there, None for anything else."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        value = literal(node.operand)
        return -value if isinstance(value, int | float) else None
    if isinstance(node, ast.Constant) and isinstance(node.value, str | int | float | bool):
        return node.value
    return None


def keyword(call: ast.Call, *names: str) -> ast.expr | None:
    """Return the argument of the first of these names that is given."""
    given = {argument.arg: argument.value for argument in call.keywords}
    return next((given[name] for name in names if name in given), None)


def argument(call: ast.Call, position: int, *names: str) -> ast.expr | None:
    """Return an argument that may be given by its name or by its position."""
    by_name = keyword(call, *names)
    return by_name if by_name is not None or position >= len(call.args) else call.args[position]


class Folder:
    """Folds the expressions of one file. A name that is assigned twice is not known."""

    def __init__(self, nodes: Iterable[ast.AST]) -> None:
        self._assigned: dict[str, ast.expr | None] = {}
        for node in nodes:
            if isinstance(node, ast.Assign):
                for target in node.targets:
                    self._assign(target, node.value)
            elif isinstance(node, ast.AnnAssign) and node.value is not None:
                self._assign(node.target, node.value)

    def _assign(self, target: ast.AST, value: ast.expr) -> None:
        name = _key(target)
        if name:
            self._assigned[name] = None if name in self._assigned else value

    def assigned(self, node: ast.AST) -> ast.expr | None:
        """Return what stands on the right of a name's only assignment."""
        return self._assigned.get(_key(node))

    def fold(self, node: ast.AST | None, depth: int = _DEPTH) -> Folded:
        """Return what is known of a text. What has no value in this file may be an option: its name is told."""
        if node is None or depth == 0:
            return UNKNOWN
        if isinstance(node, ast.Constant):
            return Folded(text(node), is_whole=isinstance(node.value, str))
        if isinstance(node, ast.JoinedStr | ast.FormattedValue):
            parts = node.values if isinstance(node, ast.JoinedStr) else [node.value]
            return self._joined(parts, "", depth)
        if isinstance(node, ast.BinOp):
            return self._sum(node, depth)
        if isinstance(node, ast.Call):
            return self._call(node, depth)
        return self._named(node, depth)

    def _joined(self, parts: Iterable[ast.AST], between: str, depth: int) -> Folded:
        whole = Folded(is_whole=True)
        for part in parts:
            whole = whole.then(self.fold(part, depth - 1), between)
        return whole

    def _sum(self, node: ast.BinOp, depth: int) -> Folded:
        if isinstance(node.op, ast.Mod):
            return Folded(self.fold(node.left, depth - 1).text.split("%")[0])
        between = "/" if isinstance(node.op, ast.Div) else ""
        return self._joined((node.left, node.right), between, depth)

    def _call(self, node: ast.Call, depth: int) -> Folded:
        name = tail(node.func)
        if node.args and dotted(node.func).endswith(("getenv", "environ.get")):
            return self._variable(node.args[0], argument(node, 1, "default"), depth)
        if name == "joinpath" and isinstance(node.func, ast.Attribute):
            return self._joined((node.func.value, *node.args), "/", depth)
        if name == "join" and "path" in dotted(node.func):
            return self._joined(node.args, "/", depth)
        if name == "format" and isinstance(node.func, ast.Attribute):
            return Folded(self.fold(node.func.value, depth - 1).text.split("{")[0])
        if name in _SAME:
            inner = node.args[0] if node.args else getattr(node.func, "value", None)
            return self.fold(inner, depth - 1)
        return UNKNOWN

    def _variable(self, name: ast.AST, default: ast.AST | None, depth: int) -> Folded:
        if text(name) == _MODEL_PATH:
            return Folded(ARTIFACTS, is_whole=True)
        return self.fold(default, depth - 1)

    def _named(self, node: ast.AST, depth: int) -> Folded:
        if isinstance(node, ast.Subscript):
            if text(node.slice) == _MODEL_PATH:
                return Folded(ARTIFACTS, is_whole=True)
            return Folded(option=text(node.slice), is_whole=bool(text(node.slice)))
        value = self.assigned(node)
        if value is not None:
            return self.fold(value, depth - 1)
        return Folded(option=tail(node), is_whole=bool(tail(node)))


def _key(node: ast.AST) -> str:
    if isinstance(node, ast.Name):
        return node.id
    is_own = isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "self"
    return f".{node.attr}" if isinstance(node, ast.Attribute) and is_own else ""
