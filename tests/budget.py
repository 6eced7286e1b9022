"""A stage's budget of time: of the tests marked `long`, those that would begin beyond it say that they did not run.

One that is known to take longer says so, `long(seconds=…)`: it does not begin where it would end beyond the budget.

pytest -m long --budget 180
"""

import time

import pytest

_BEGUN = time.monotonic()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--budget", type=float, default=0.0, help="seconds after which no long test begins; 0: all run")


def pytest_runtest_setup(item: pytest.Item) -> None:
    budget = item.config.getoption("--budget")
    spent = time.monotonic() - _BEGUN
    marker = item.get_closest_marker("long")
    if budget and marker is not None and spent + marker.kwargs.get("seconds", 0) > budget:
        pytest.skip(
            f"NOT RUN for want of time: {spent:.0f} s of this stage's {budget:.0f} s were spent; `make long` runs it"
        )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the demo, which takes longer than all else: the others fit beside it."""
    items.sort(key=lambda item: item.path.name != "test_demo.py")
