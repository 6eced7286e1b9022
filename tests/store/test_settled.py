"""What has settled is found out once, and the oldest is forgotten."""

from bot.store.settled import Settled


def test_what_is_known_is_not_asked_again() -> None:
    asked: list[str] = []
    known: Settled[int] = Settled()

    def find() -> int:
        asked.append("once")
        return len(asked)

    assert [known.get("a", find), known.get("a", find), known.get("b", find)] == [1, 1, 2]


def test_the_one_that_was_not_asked_for_the_longest_is_forgotten() -> None:
    known: Settled[str] = Settled(most=2)
    for key in ("a", "b", "a", "c"):
        known.get(key, lambda: "first")
    assert [known.get(key, lambda: "again") for key in ("a", "c", "b")] == ["first", "first", "again"]
