"""The forms in which a secret may stand in a text that leaves: raw, escaped, encoded.

A form is a sequence of elements, one for each character; an element lists the spellings of its character, and a
spelling names the bytes that may stand at each place. Within a form every spelling of a character ends where no other
spelling of it does, so that matching never has to guess: that is why `\\` is raw in one form and `\\\\` in another.
"""

import re
from base64 import b64encode
from collections.abc import Iterator

Spelling = tuple[bytes, ...]
Element = tuple[Spelling, ...]
Form = tuple[Element, ...]

SHORTEST = 4
"""Characters of the shortest secret: shorter ones stand everywhere, and masking them would destroy a log."""
_LONG_LINE = 8
"""Characters from which on a line of a secret is masked on its own."""
_LINE_END = re.compile(r"(\r\n|\n|\r|\\r\\n|\\n)")
"""Also as two characters: a key in a JSON document is one line there, and several when a program prints it."""
_ARMOR = re.compile(r"-----(BEGIN|END) [A-Z0-9 ]+-----")
"""The first and last lines of PEM: everybody's are alike, and logs are full of dashes."""
_NAMED = {"\n": "n", "\r": "r", "\t": "t", "\b": "b", "\f": "f"}
_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


def forms(value: str) -> Iterator[Form]:
    """Yield every form of a secret. A secret of several lines is masked line by line."""
    for piece in _pieces(value):
        data = piece.encode("utf-8", "surrogatepass")
        if "\\" in piece:  # else the escaped form is the raw one too
            yield tuple(_raw(char) for char in piece)
        yield tuple(_escaped(char) for char in piece)
        yield tuple(_percent(char) for char in piece)
        if "'" in piece:
            yield tuple(_shell(char) for char in piece)
        yield tuple((_digits(f"{byte:02x}"),) for byte in data)
        yield from _base64(data)


def _pieces(value: str) -> set[str]:
    """Return the long lines, and each long line with the short ones that follow it, so that no part is left out."""
    parts = _LINE_END.split(value.strip())
    groups = [""]
    lines: set[str] = set()
    for text, end in zip(parts[::2], [*parts[1::2], ""], strict=True):
        line = text.strip()
        if len(line) >= _LONG_LINE:
            groups += [""] if lines else []
            lines.add(line)
        groups[-1] += text + ("\n" if end.strip("\r\n") == "" and end else end)
    return {piece for piece in lines | {group.strip() for group in groups} if not _ARMOR.fullmatch(piece)}


def _exactly(data: bytes) -> Spelling:
    return tuple(bytes([byte]) for byte in data)


def _digits(text: str) -> Spelling:
    """Hexadecimal digits, each in upper or lower case."""
    return tuple("".join(sorted({digit.lower(), digit.upper()})).encode() for digit in text)


def _raw(char: str) -> Element:
    plain = _exactly(char.encode("utf-8", "surrogatepass"))
    return (plain, _exactly(b"\r\n")) if char == "\n" else (plain,)  # a terminal turns line ends into these


def _escaped(char: str) -> Element:
    r"""As in JSON, in source code, between a shell's double quotes: `\n`, `\"`, `\/`, `\u00e9`, `\xc3\xa9`."""
    backslash, data = (b"\\",), char.encode("utf-8", "surrogatepass")
    units = char.encode("utf-16-be", "surrogatepass").hex()
    spellings = [] if char == "\\" else list(_raw(char))
    spellings.append(sum((_exactly(b"\\u") + _digits(units[i : i + 4]) for i in range(0, len(units), 4)), ()))
    spellings.append(sum((_exactly(b"\\x") + _digits(f"{byte:02x}") for byte in data), ()))
    if len(data) > 1 and ord(char) < 0x100:
        spellings.append(_exactly(b"\\x") + _digits(f"{ord(char):02x}"))
    if len(units) > 4:
        spellings.append(_exactly(b"\\U") + _digits(f"{ord(char):08x}"))
    if char in _NAMED:
        spellings.append(backslash + _exactly(_NAMED[char].encode()))
    elif char.isascii() and char.isprintable() and not char.isalnum():
        spellings.append(backslash + _exactly(data))
    return tuple(spellings)


def _percent(char: str) -> Element:
    """As in URLs and forms, whichever characters the encoder takes for special ones."""
    data = char.encode("utf-8", "surrogatepass")
    spellings = [] if char == "%" else list(_raw(char))
    spellings.append(sum(((b"%", *_digits(f"{byte:02x}")) for byte in data), ()))
    if char == " ":
        spellings.append((b"+",))
    return tuple(spellings)


def _shell(char: str) -> Element:
    """As between single quotes, which `'` itself has to leave."""
    return (_exactly(b"'\\''"), _exactly(b"'\"'\"'")) if char == "'" else _raw(char)


_GAP: Element = (_exactly(b"\n"), _exactly(b"\r\n"), _exactly(b"\\n"), ())
"""Encoders break base64 into lines, wherever the secret may begin in it."""


def _base64(data: bytes) -> Iterator[Form]:
    """Yield both alphabets' forms for the three ways in which bytes can lie in base64, alone or within longer text.

    Only digits that the secret alone decides are looked for; the digit before may tell up to four bits of the first
    byte. The digit after goes with them where there is one; a text that was cut off may lack it.
    """
    for skipped in range(3):
        text, bits = b64encode(bytes(skipped) + data).decode(), 8 * (skipped + len(data))
        whole = bits // 6
        core = _with_gaps([_digit(text[i]) for i in range(-(-8 * skipped // 6), whole)])
        yield core
        if bits % 6:
            least = _ALPHABET.index(text[whole])
            yield (*core, _GAP, _digit(_ALPHABET[least : least + (1 << 6 - bits % 6)]))


def _with_gaps(elements: list[Element]) -> Form:
    return (elements[0], *(part for element in elements[1:] for part in (_GAP, element)))


def _digit(possible: str) -> Element:
    plain = possible + "-" * ("+" in possible) + "_" * ("/" in possible)
    spellings: list[Spelling] = [(plain.encode(),)]
    if "+" in possible:
        spellings.append((b"%", *_digits("2b")))
    if "/" in possible:
        spellings += [(b"%", *_digits("2f")), _exactly(b"\\/")]
    return tuple(spellings)
