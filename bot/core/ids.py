"""Public ids: short, sortable by age, safe in URLs, file names and job names."""

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
"""Crockford's base 32: no i, l, o or u, so that an id can be read aloud."""

LENGTH = 13


def public_id(now: int, entropy: int) -> str:
    """Return 13 characters: nine of the time (`now`, microseconds, kept to the millisecond), four of `entropy`.

    Ids of two processes made in the same millisecond differ by chance only: a unique column decides.
    """
    return _digits(now // 1000, 9) + _digits(entropy, 4)


def _digits(number: int, count: int) -> str:
    characters = []
    for _ in range(count):
        number, digit = divmod(number, 32)
        characters.append(_ALPHABET[digit])
    return "".join(reversed(characters))
