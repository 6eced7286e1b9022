"""Masking: no form of a secret leaves, however it is cut, and all else stays as it is."""

import itertools
import json
import re
import shlex
from base64 import b64encode, encodebytes, urlsafe_b64encode
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.core.masking import Masker

SECRET = "hunter2-Pässword/+%\\'\"& x?>~"
PEM = "\n".join(
    [
        "-----BEGIN PRIVATE KEY-----",
        "MIIEvQIBADANBgkqhkiG9w0BAQEF",
        "AASCBKcwggSjAgEAAoIBAQC7VJTUt9Us",
        "8cK=",
        "-----END PRIVATE KEY-----",
        "",
    ]
)
ORDINARY = Masker(["correct horse", "battery staple", PEM])
ENCODERS: dict[str, Callable[[str], str]] = {
    "raw": str,
    "JSON": lambda s: json.dumps(s)[1:-1],
    "JSON in UTF-8": lambda s: json.dumps(s, ensure_ascii=False)[1:-1],
    "JSON as PHP writes it": lambda s: json.dumps(s).replace("/", "\\/")[1:-1],
    "JSON with capital digits": lambda s: re.sub(r"\\u....", lambda m: "\\u" + m[0][2:].upper(), json.dumps(s))[1:-1],
    "JSON for HTML": lambda s: json.dumps(s).replace("&", "\\u0026").replace(">", "\\u003e")[1:-1],
    "JSON, all escaped": lambda s: "".join(f"\\u{unit:04x}" for unit in _utf_16(s)),
    "Python": lambda s: repr(s)[1:-1],
    "Python, bytes": lambda s: repr(s.encode())[2:-1],
    "Python, ASCII": lambda s: ascii(s)[1:-1],
    "URL": lambda s: quote(s, safe=""),
    "URL, a path": quote,
    "URL, lower case": lambda s: re.sub("%..", lambda m: m[0].lower(), quote(s, safe="")),
    "URL, a form": quote_plus,
    "URL, all escaped": lambda s: "".join(f"%{byte:02X}" for byte in s.encode()),
    "shell": shlex.quote,
    "shell, as `set -x` says it": lambda s: "'" + s.replace("'", "'\\''") + "'",
    "shell, double quotes": lambda s: re.sub(r'([\\"$`])', r"\\\1", s),
    "hex": lambda s: s.encode().hex(),
    "HEX": lambda s: s.encode().hex().upper(),
    "base64": lambda s: b64encode(s.encode()).decode(),
    "base64 without padding": lambda s: b64encode(s.encode()).decode().rstrip("="),
    "base64 for URLs": lambda s: urlsafe_b64encode(s.encode()).decode(),
    "base64 within a URL": lambda s: quote(b64encode(s.encode()).decode(), safe=""),
    "base64 with more before": lambda s: b64encode(b"a" + s.encode()).decode(),
    "base64 in the middle": lambda s: b64encode(b"ab" + s.encode() + b"yz").decode(),
    "basic authentication": lambda s: b64encode(f"user:{s}".encode()).decode(),
}


def _utf_16(text: str) -> list[int]:
    data = text.encode("utf-16-be")
    return [int.from_bytes(data[at : at + 2], "big") for at in range(0, len(data), 2)]


def cut(data: bytes, cuts: list[int]) -> list[bytes]:
    places = [0, *sorted(place % (len(data) + 1) for place in cuts), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(places)]


def streamed(masker: Masker, chunks: list[bytes]) -> bytes:
    """Return what a stream makes of the chunks, and hold it to its promise of what it keeps."""
    stream, told, taken = masker.stream(), b"", 0
    for chunk in chunks:
        told += stream.feed(chunk)
        taken += len(chunk)
        held = stream._held
        assert len(held) < max(masker.longest, 1), "less than the longest form is held back"
    return told + stream.flush()


@pytest.mark.parametrize("name", ENCODERS)
@pytest.mark.parametrize("secret", [SECRET, "s3cr", "a plain one", "it's \\a\\ 100% £ and 🔑", "Grün ≥ 4"])
def test_every_form_is_masked(name: str, secret: str) -> None:
    encoded = ENCODERS[name](secret)

    masked = Masker([secret]).mask(f"before {encoded} after")

    assert masked.startswith("before ")
    assert masked.endswith(" after")
    assert "***" in masked
    # What may be left beside the mask: quotes, padding, the first base64 digit, and what stood before and behind.
    left = masked.removeprefix("before ").removesuffix(" after").replace("***", "")
    assert len(left) <= (9 if "base64" in name or "basic" in name else 2), left


@settings(max_examples=60, deadline=None)
@given(
    secret=st.text(st.characters(codec="ascii", exclude_categories=["Zs", "Cc"], exclude_characters="*"), min_size=4),
    before=st.binary(max_size=20).map(lambda data: bytes(byte | 0x80 for byte in data)),
    after=st.binary(max_size=20).map(lambda data: bytes(byte | 0x80 for byte in data)),
    name=st.sampled_from([name for name in ENCODERS if not name.startswith(("base64", "basic", "shell"))]),
    cuts=st.lists(st.integers(0, 500), max_size=12),
)
def test_any_secret_in_any_surroundings_cut_anywhere(
    secret: str, before: bytes, after: bytes, name: str, cuts: list[int]
) -> None:
    """The surroundings are bytes that no encoding makes of the secret: they stay, bit by bit."""
    encoded = ENCODERS[name](secret).encode()

    told = streamed(Masker([secret]), cut(before + encoded + after, cuts))

    assert told == before + b"***" + after


@settings(max_examples=60, deadline=None)
@given(
    secret=st.text(st.characters(exclude_categories=["Cs", "Zs", "Cc"]), min_size=4, max_size=40),
    before=st.binary(max_size=80),
    after=st.binary(max_size=80),
    encode=st.sampled_from([b64encode, urlsafe_b64encode, encodebytes]),
    cuts=st.lists(st.integers(0, 500), max_size=12),
)
def test_a_secret_anywhere_within_base64(
    secret: str, before: bytes, after: bytes, encode: Callable[[bytes], bytes], cuts: list[int]
) -> None:
    data = secret.encode()
    plain = b64encode(bytes(len(before) % 3) + data).decode().rstrip("=")
    core = plain[len(before) % 3 + (len(before) % 3 > 0) : 8 * (len(before) % 3 + len(data)) // 6]

    told = streamed(Masker([secret]), cut(encode(before + data + after), cuts))

    told = re.sub(rb"[\r\n]", b"", told).translate(bytes.maketrans(b"-_", b"+/"))
    assert b"***" in told
    assert core.encode() not in told


@settings(max_examples=60, deadline=None)
@given(
    secrets=st.lists(st.text("xyz", min_size=4, max_size=7), min_size=1, max_size=4),
    text=st.text("xyz .", max_size=60),
    cuts=st.lists(st.integers(0, 500), max_size=12),
)
def test_what_overlaps_becomes_one_and_all_else_stays(secrets: list[str], text: str, cuts: list[int]) -> None:
    """Against the plainest way to say it: letters of which no encoding is made of the same letters."""
    spans = sorted({(m.start(), m.start() + len(s)) for s in secrets for m in re.finditer(f"(?={s})", text)})
    expected, end = "", 0
    for start, stop in spans:
        if start >= end:
            expected += text[end:start] + "***"
        end = max(end, stop)
    expected += text[end:]

    assert streamed(Masker(secrets), cut(text.encode(), cuts)).decode() == expected


@settings(max_examples=60, deadline=None)
@given(
    secrets=st.lists(st.text("a\\%'n/", min_size=4, max_size=8), min_size=1, max_size=3),
    text=st.text("a\\%'n/25c", max_size=60),
    cuts=st.lists(st.integers(0, 500), max_size=20),
)
def test_cuts_change_nothing(secrets: list[str], text: str, cuts: list[int]) -> None:
    """Also where a form is the beginning of another, and escapes look like secrets."""
    masker = Masker(secrets)
    whole = masker.mask(text)

    assert streamed(masker, cut(text.encode(), cuts)).decode() == whole
    assert not any(secret in whole for secret in secrets)
    pieces = [re.escape(piece) for piece in whole.split("***")]
    assert re.fullmatch(".+?".join(pieces), text), "only what was masked is gone"


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=300), st.lists(st.integers(0, 500), max_size=12))
def test_a_log_without_the_secret_stays_bit_by_bit(data: bytes, cuts: list[int]) -> None:
    assert streamed(ORDINARY, cut(data, cuts)) == data


def test_a_prompt_appears_at_once() -> None:
    stream = Masker([SECRET]).stream()
    assert stream.feed(b"Continue? [y/n] ") == b"Continue? [y/n] "
    assert stream.feed(b"hunt") == b"", "it may become the secret"
    assert stream.feed(b"ing\n") == b"hunting\n"
    assert stream.flush() == b""


def test_a_beginning_at_the_very_end_was_none() -> None:
    stream = Masker([SECRET]).stream()
    assert stream.feed(b"go hunter2-P") + stream.flush() == b"go hunter2-P"


def test_a_secret_of_several_lines_is_masked_line_by_line() -> None:
    masker = Masker([PEM])
    assert masker.mask(f"key:\n{PEM}") == "key:\n-----BEGIN PRIVATE KEY-----\n***\n***\n-----END PRIVATE KEY-----\n"
    assert masker.mask("  MIIEvQIBADANBgkqhkiG9w0BAQEF,") == "  ***,"
    assert masker.mask("8cK= is too short to be looked for alone") == "8cK= is too short to be looked for alone"
    assert masker.mask(PEM.replace("\n", "\r\n")).count("***") == 2
    assert "AASC" not in masker.mask(json.dumps({"key": PEM}))


def test_a_key_within_a_document_is_masked_when_a_program_prints_it() -> None:
    masker = Masker([json.dumps({"type": "service_account", "private_key": PEM}, indent=2)])
    printed = masker.mask(PEM)
    assert "MIIEv" not in printed
    assert "AASC" not in printed


def test_a_secret_of_short_lines_is_masked_whole() -> None:
    masker = Masker(["ab 12\ncd 34\nef 56\n"])
    assert masker.mask("ab 12\ncd 34\nef 56\n") == "***\n"
    assert masker.mask("ab 12\r\ncd 34\r\nef 56") == "***"
    assert masker.mask("ab 12 or ef 56") == "ab 12 or ef 56"


def test_blanks_around_a_secret_are_none_of_it() -> None:
    assert Masker(["  s3cret \n"]).mask("s3cret") == "***"


def test_without_secrets_everything_passes() -> None:
    masker = Masker([])
    assert masker.longest == 0
    assert streamed(masker, [b"a", b"", b"bc"]) == b"abc"


def test_a_document_stays_one() -> None:
    masker = Masker(['s3cr"et', "123456"])
    told = masker.mask_json('{"a": 123456, "s3cr\\"et": [0.5, true, null, "x \\u00733cr\\"et"], "b": -1234567e2}')
    assert json.loads(told) == {"a": "***", "***": [0.5, True, None, "x ***"], "b": "-***700.0"}
    untouched = '{ "a" : 1.50, "b": NaN }'
    assert masker.mask_json(untouched) == untouched


@pytest.mark.parametrize("value", ["", "abc", "  abc  ", "\n\n\n\n"])
def test_what_is_too_short_cannot_be_masked_and_is_not_told(value: str) -> None:
    with pytest.raises(ValueError, match="less than 4 characters") as refused:
        Masker([value])
    assert "abc" not in str(refused.value)


def test_texts_with_half_characters_pass() -> None:
    assert Masker(["s3cret"]).mask("a \udc80 s3cret \ud83d") == "a \udc80 *** \ud83d"
