"""What is a pointer of Git LFS, and what only looks like one."""

import pytest

from bot.core.lfs import Pointer, read_pointer

OID = "4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393"
TEXT = f"version https://git-lfs.github.com/spec/v1\noid sha256:{OID}\nsize 12345\n"


def test_a_pointer_names_a_file_and_its_size() -> None:
    assert read_pointer(TEXT.encode()) == Pointer(OID, 12345)


@pytest.mark.parametrize(
    "text",
    [
        "",
        TEXT + "more\n",
        TEXT.replace("v1", "v2"),
        TEXT.replace("sha256", "sha512"),
        TEXT.replace(OID, OID[1:]),
        TEXT.replace(OID, "../" + OID[3:]),
        TEXT.replace("12345", "-1"),
        TEXT.replace("12345", "9" * 30),
        TEXT.replace("\n", "\r\n"),
        TEXT.replace("oid", "ext-0-foo sha256:00\noid"),
    ],
)
def test_what_is_not_exactly_one_stays_as_it_is(text: str) -> None:
    assert read_pointer(text.encode()) is None
