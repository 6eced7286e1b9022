"""YAML, read into plain values that know their places.

Every scalar stays the text that was written: what a `1e-3`, a `no` or a `5:30` means is decided by the key that it
stands under (a number for `target`, a branch's name for `only`). That leaves none of YAML 1.1's surprises.

The parser's events are read one by one, so that a bomb is refused before it is built: size, depth, aliases and
the number of values *after* expansion are bounded.
"""

import re
from dataclasses import dataclass, field
from typing import Any

import yaml

from bot.core.config.mistakes import explain, explain_key
from bot.core.config.problems import Mark, Problem, Problems, quote

_START = Mark(1, 1)

MAX_BYTES = 65_536
MAX_DEPTH = 20
MAX_ALIASES = 50
MAX_VALUES = 10_000

_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
"""What an unquoted scalar means by nothing, in YAML 1.2's core schema."""

FORBIDDEN = re.compile(
    # What YAML does not call printable; C1 controls and Unicode's own line ends (an editor counts other lines than
    # YAML); and format characters that show nothing, or turn text round: what is run must be what is read.
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff"
    "\ufff9-\ufffb\ufffe\uffff\U000e0000-\U000e007f]"
)


class Mapping(dict[str, Any]):
    """A mapping with the place of each key and value. `mark` is where its own key stands (or its beginning)."""

    def __init__(self, mark: Mark) -> None:
        super().__init__()
        self.mark = mark
        self.keys_at: dict[str, Mark] = {}
        self.values_at: dict[str, Mark] = {}

    def put(self, key: str, value: Any, key_at: Mark, value_at: Mark) -> None:
        self[key] = value
        self.keys_at[key] = key_at
        self.values_at[key] = value_at


class Sequence(list[Any]):
    """A list with the place of each item."""

    def __init__(self, mark: Mark) -> None:
        super().__init__()
        self.mark = mark
        self.items_at: list[Mark] = []


@dataclass(frozen=True)
class Document:
    """One file as values: text, None, Mapping or Sequence. `is_broken` when it could not be read to its end."""

    path: str
    root: Any
    is_broken: bool


class _RefusedError(Exception):
    """The file cannot be read any further."""

    def __init__(self, message: str, hint: str, mark: Mark) -> None:
        super().__init__(message)
        self.message, self.hint, self.mark = message, hint, mark


def parse(data: bytes, path: str, problems: Problems) -> Document:
    """Return the document that `data` holds; what is wrong with it is added to `problems`. Never raises."""
    try:
        root = _Builder(_decode(data), path, problems).build()
    except _RefusedError as refused:
        mark = refused.mark
        problems.add(Problem("error", refused.message, refused.hint, path, mark.line, mark.column))
        return Document(path, None, is_broken=True)
    return Document(path, root, is_broken=False)


def _decode(data: bytes) -> str:
    """Return the text: UTF-8, without byte order mark, lines ended by newlines, nothing invisible in it."""
    if len(data) > MAX_BYTES:
        raise _RefusedError(
            f"The file is larger than {MAX_BYTES // 1024} KiB",
            "A config describes experiments; keep data and code in files of their own.",
            _START,
        )
    try:
        text = data.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8", "replace")
        raise _RefusedError("The file is not UTF-8 text", "Save it with the encoding UTF-8.", _end_of(before)) from None
    if found := FORBIDDEN.search(text):
        raise _invisible(found.group(), _end_of(text[: found.start()]))
    return text


def _end_of(text: str) -> Mark:
    line_start = text.rfind("\n") + 1
    return Mark(text.count("\n") + 1, len(text) - line_start + 1)


def _invisible(character: str, mark: Mark) -> _RefusedError:
    return _RefusedError(
        f"The character U+{ord(character):04X} is not allowed here",
        "Control characters and invisible ones are refused: what is run must be what is read. Delete it.",
        mark,
    )


@dataclass(frozen=True)
class _Node:
    """A finished value with what it weighs when every alias is expanded."""

    value: Any
    size: int = 1
    depth: int = 0


@dataclass
class _OpenList:
    """A list under construction."""

    container: Sequence
    anchor: str | None
    mark: Mark
    size: int = 1
    depth: int = 1

    def take(self, node: _Node, mark: Mark) -> None:
        self.container.append(node.value)
        self.container.items_at.append(mark)


@dataclass
class _OpenMapping:
    """A mapping under construction. `key` is the key that waits for its value, None while a key is next."""

    container: Mapping
    anchor: str | None
    mark: Mark
    size: int = 1
    depth: int = 1
    key: str | None = None
    key_at: Mark = _START
    merge_at: Mark | None = None
    is_merge: bool = False
    merged: list[Mapping] = field(default_factory=list)

    def expect(self, key: str, is_merge: bool, mark: Mark) -> Mark | None:
        """Remember the key whose value comes next; return where the same key already stands."""
        first = self.merge_at if is_merge else self.container.keys_at.get(key)
        self.key, self.key_at, self.is_merge = key, mark, is_merge
        if is_merge:
            self.merge_at = mark
        elif first is None:
            self.container.keys_at[key] = mark
        return first

    def take(self, node: _Node, mark: Mark) -> None:
        if self.is_merge:
            sources = node.value if isinstance(node.value, Sequence) else [node.value]
            self.merged.extend(source for source in sources if isinstance(source, Mapping))
        elif self.key is not None and self.key not in self.container:
            self.container.put(self.key, node.value, self.key_at, mark)
        self.key = None

    def merge(self) -> None:
        """Take over what the merged ones have and this one has not: what stands first wins."""
        for source in self.merged:
            for key, value in source.items():
                if key not in self.container:
                    self.container.put(key, value, source.keys_at[key], source.values_at[key])


class _Loader(yaml.SafeLoader):
    """PyYAML's own, but for brackets: it looks up to 1,024 characters ahead, in quadratic time when all are `[`."""

    def fetch_flow_collection_start(self, token_class: Any) -> None:
        super().fetch_flow_collection_start(token_class)
        if self.flow_level > MAX_DEPTH:
            raise _too_deep(Mark(self.line + 1, self.column))


class _Builder:
    """Builds values from the parser's events, without recursion."""

    def __init__(self, text: str, path: str, problems: Problems) -> None:
        self._lines = text.split("\n")
        self._path = path
        self._problems = problems
        self._loader = _Loader(text)
        self._open: list[_OpenMapping | _OpenList] = []
        self._anchors: dict[str, _Node | None] = {}
        """None while the anchor's own value is still open: an alias there would contain itself."""
        self._aliases = self._values = self._documents = 0
        self._root: Any = None

    def build(self) -> Any:
        while (event := self._next()) is not None:
            self._take(event)
        if self._documents == 0:
            raise _RefusedError("The file is empty", "Begin with `version: 2`.", _START)
        return self._root

    def _next(self) -> yaml.Event | None:
        try:
            event: yaml.Event | None = self._loader.get_event()  # type: ignore[no-untyped-call]
            return event
        except yaml.MarkedYAMLError as error:
            is_unclosed = "stream" in (error.problem or "")
            at = (error.context_mark if is_unclosed else None) or error.problem_mark or error.context_mark
            mark = self._inside(at.line, at.column) if at else self._here()
            raise _RefusedError(*explain(error.problem or "", error.context or "", self._line(mark)), mark) from None
        except (yaml.YAMLError, ValueError, OverflowError):
            # PyYAML lets int() and chr() raise, for `%YAML 1.000…` and "\\UFFFFFFFF".
            mark = self._here()
            raise _RefusedError(*explain("", "", self._line(mark)), mark) from None

    def _here(self) -> Mark:
        return self._inside(self._loader.line, self._loader.column)

    def _inside(self, line: int, column: int) -> Mark:
        """Return the parser's place as ours. It notices some mistakes only behind the last line."""
        last = len(self._lines) - (len(self._lines) > 1 and not self._lines[-1])
        return Mark(line + 1, column + 1) if line < last else Mark(last, len(self._lines[last - 1]) + 1)

    def _line(self, mark: Mark) -> str:
        return self._lines[mark.line - 1]

    def _take(self, event: Any) -> None:
        mark = Mark(event.start_mark.line + 1, event.start_mark.column + 1)
        if isinstance(event, yaml.DocumentStartEvent):
            self._begin_document(mark)
        elif isinstance(event, yaml.AliasEvent):
            self._alias(str(event.anchor), mark)
        elif isinstance(event, yaml.ScalarEvent):
            self._scalar(event, mark)
        elif isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
            self._begin(event, mark)
        elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            self._end()

    def _begin_document(self, mark: Mark) -> None:
        self._documents += 1
        if self._documents > 1:
            raise _RefusedError("A second document begins here", "A config is one document: delete `---`.", mark)

    def _scalar(self, event: Any, mark: Mark) -> None:
        self._refuse_tag(event.tag, mark)
        self._count(1, mark)
        if found := FORBIDDEN.search(event.value):
            raise _invisible(found.group(), mark)
        # Without a style the text stood there without quotes.
        is_plain = event.style is None
        if mapping := self._wanting_key():
            if event.anchor:
                self._anchors[event.anchor] = _Node(event.value)
            self._key(mapping, event.value, is_plain and event.value == "<<", mark)
            return
        value = None if is_plain and event.value in _NULLS else event.value
        self._finish(_Node(value), event.anchor, mark)

    def _wanting_key(self) -> _OpenMapping | None:
        last = self._open[-1] if self._open else None
        return last if isinstance(last, _OpenMapping) and last.key is None else None

    def _key(self, mapping: _OpenMapping, key: str, is_merge: bool, mark: Mark) -> None:
        if not key:
            raise _RefusedError("A key is missing before the colon", "Write `key: value`.", mark)
        if first := mapping.expect(key, is_merge, mark):
            message = f"{quote(key)} stands here a second time; the first is in line {first.line}"
            self._error(message, "Keep one: which of two values counts would be a guess.", mark)

    def _begin(self, event: Any, mark: Mark) -> None:
        self._refuse_tag(event.tag, mark)
        self._count(1, mark)
        if self._wanting_key():
            raise _RefusedError(*explain_key(self._line(mark)), mark)
        if len(self._open) >= MAX_DEPTH:
            raise _too_deep(mark)
        if event.anchor:
            self._anchors[event.anchor] = None
        last = self._open[-1] if self._open else None
        place = last.key_at if isinstance(last, _OpenMapping) else mark
        if isinstance(event, yaml.MappingStartEvent):
            self._open.append(_OpenMapping(Mapping(place), event.anchor, mark))
        else:
            self._open.append(_OpenList(Sequence(place), event.anchor, mark))

    def _end(self) -> None:
        closed = self._open.pop()
        if isinstance(closed, _OpenMapping):
            closed.merge()
        self._finish(_Node(closed.container, closed.size, closed.depth), closed.anchor, closed.mark)

    def _alias(self, name: str, mark: Mark) -> None:
        self._aliases += 1
        if self._aliases > MAX_ALIASES:
            raise _RefusedError(f"More than {MAX_ALIASES} aliases", "Write values out, or use `paramsFile`.", mark)
        if self._wanting_key():
            raise _RefusedError("An alias cannot be a key", "Write the key itself.", mark)
        if name not in self._anchors:
            hint = "Text that begins with `*` needs quotes; an alias needs its anchor (`&name`) above it."
            raise _RefusedError(f"{quote('*' + name)} refers to nothing above", hint, mark)
        node = self._anchors[name]
        if node is None:
            raise _RefusedError(f"{quote('*' + name)} would contain itself", "Write the values out.", mark)
        self._count(node.size, mark)
        self._attach(node, mark)

    def _finish(self, node: _Node, anchor: str | None, mark: Mark) -> None:
        if anchor:
            self._anchors[anchor] = node
        self._attach(node, mark)

    def _attach(self, node: _Node, mark: Mark) -> None:
        """Give a finished value to whatever is open around it."""
        if not self._open:
            self._root = node.value
            return
        if len(self._open) + node.depth > MAX_DEPTH:
            raise _too_deep(mark)
        last = self._open[-1]
        last.size += node.size
        last.depth = max(last.depth, node.depth + 1)
        if isinstance(last, _OpenMapping) and last.is_merge and not _can_be_merged(node.value):
            self._error("`<<` takes a mapping, or a list of mappings", "Write `<<: *name`.", mark)
        last.take(node, mark)

    def _count(self, more: int, mark: Mark) -> None:
        self._values += more
        if self._values > MAX_VALUES:
            hint = "No config needs that many: a mistake, or an attack by aliases."
            raise _RefusedError(f"More than {MAX_VALUES:,} values", hint, mark)

    def _refuse_tag(self, tag: str | None, mark: Mark) -> None:
        if tag is not None:
            hint = "Text that begins with `!` needs quotes; YAML's tags are not used here."
            raise _RefusedError(f"The tag {quote(tag)} is not allowed", hint, mark)

    def _error(self, message: str, hint: str, mark: Mark) -> None:
        self._problems.add(Problem("error", message, hint, self._path, mark.line, mark.column))


def _too_deep(mark: Mark) -> _RefusedError:
    return _RefusedError(f"More than {MAX_DEPTH} levels deep", "No key needs that: is a bracket left open?", mark)


def _can_be_merged(value: Any) -> bool:
    sources = value if isinstance(value, Sequence) else [value]
    return all(isinstance(source, Mapping) for source in sources)
