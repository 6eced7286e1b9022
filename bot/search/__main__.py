"""`python -P -m bot.search`: the tuner of a declared search, a child of its supervisor, in the attempt's directory.

It speaks JSON lines: the first it hears is the search, then the ends of trials; it says which trials to run and to
stop, and at last how the search ended. When nobody listens any more, or at SIGTERM, it ends at once and says nothing:
what it did so far is on disk.
"""

import json
import os
import queue
import signal
import sys
import threading
from types import FrameType
from typing import Any, NoReturn

Inbox = queue.Queue[dict[str, Any]]


def main() -> None:
    """Tune until the search is over."""
    signal.signal(signal.SIGTERM, _end_quietly)
    inbox: Inbox = queue.Queue()
    threading.Thread(target=_listen, args=(inbox,), daemon=True).start()
    try:
        _tune(inbox)
    except Exception as error:  # whatever it was, the supervisor must hear of an end
        print(f"the tuner: {type(error).__name__}: {error}", file=sys.stderr, flush=True)  # noqa: T201
        _say({"end": {"state": "error", "reason": f"the tuner failed: {error}"}})


def _tune(inbox: Inbox) -> None:
    hello = inbox.get()
    try:
        from bot.search.course import follow  # noqa: PLC0415 - it needs Optuna, which is an extra
    except ModuleNotFoundError as error:
        if error.name != "optuna":
            raise
        _say({"end": {"state": "error", "reason": MISSING}})
        return
    follow(hello, inbox, _say)


def _listen(inbox: Inbox) -> None:
    # Not sys.stdin: Python cannot end while a thread waits in its buffer.
    unread = b""
    while chunk := os.read(0, 1 << 16):
        *lines, unread = (unread + chunk).split(b"\n")
        for line in lines:
            inbox.put(json.loads(line))
    # The main thread may be waiting for anything; a signal reaches it everywhere.
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)


def _say(message: dict[str, Any]) -> None:
    data = json.dumps(message, separators=(",", ":"), allow_nan=False).encode() + b"\n"
    while data:
        data = data[os.write(1, data) :]


def _end_quietly(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(0)


MISSING = "searches need Optuna: pip install 'experiment-ci[search]'"

if __name__ == "__main__":
    main()
