"""Public ids sort by age and are safe everywhere."""

import re

from hypothesis import given
from hypothesis import strategies as st

from bot.core.ids import LENGTH, public_id

TIMES = st.integers(1_600_000_000_000_000, 30_000_000_000_000_000)


@given(TIMES, st.integers(0, 2**20 - 1))
def test_an_id_is_safe_in_urls_file_names_and_job_names(now: int, entropy: int) -> None:
    assert re.fullmatch(rf"[0-9a-z]{{{LENGTH}}}", public_id(now, entropy))


@given(TIMES, st.integers(1000, 10**12), st.integers(0, 2**20 - 1), st.integers(0, 2**20 - 1))
def test_a_later_id_sorts_behind(now: int, later: int, one: int, other: int) -> None:
    assert public_id(now, one) < public_id(now + later, other)
