"""The contract's asserts explain themselves like those of test files."""

import pytest

pytest.register_assert_rewrite("tests.backends.contract")
