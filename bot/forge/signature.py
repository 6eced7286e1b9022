"""Is this webhook GitHub's? Bytes in, truth out."""

import hashlib
import hmac
from collections.abc import Iterable

_PREFIX = "sha256="


def is_signed(body: bytes, header: str | None, secrets: Iterable[str]) -> bool:
    """Tell whether `header` (`X-Hub-Signature-256`) is the HMAC-SHA256 of the raw `body` under one of `secrets`.

    Total: whatever a stranger puts into the header, the answer is False, not an exception. Compared as bytes, because
    `compare_digest` raises for a str that is not ASCII. Every secret is tried, so that time tells nothing about which
    one fits; an empty secret fits nothing, for anybody could sign with it. `surrogateescape` is how Python holds bytes
    of the environment that are no UTF-8.
    """
    given = (header or "").encode("utf-8", "replace")
    is_good = False
    for secret in secrets:
        digest = hmac.new(secret.encode("utf-8", "surrogateescape"), body, hashlib.sha256).hexdigest()
        is_good |= hmac.compare_digest(f"{_PREFIX}{digest}".encode(), given) and bool(secret)
    return is_good
