"""`python -P -m bot.sidecar`, started by a supervisor in its run's directory and network: see `bot.sidecar.service`.

It ends at the end of its standard input and in no other way: signals that are meant for the run must not cost its last
measurements.
"""

import asyncio
import codecs
import json
import signal

from bot.clock import SystemClock
from bot.sidecar.gateway import warm_up
from bot.sidecar.nvidia import NvidiaGpus
from bot.sidecar.service import Order, Sidecar
from bot.sidecar.user import give_up_root


def main() -> None:
    """Raises what makes a start impossible; the supervisor reads that in its log."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    # Without a buffer, so that the lines after the first one stay in the pipe.
    orders = open(0, "rb", buffering=0, closefd=False)  # noqa: SIM115 - the descriptor outlives us
    order = Order.parse(orders.readline())
    sidecar = Sidecar(order, SystemClock(), NvidiaGpus.find())
    _load_everything()
    give_up_root(order.user)
    print(json.dumps(sidecar.first_word()), flush=True)  # noqa: T201
    asyncio.run(sidecar.run(orders))


def _load_everything() -> None:
    """Load what Python would only look for later, when the installation may be unreadable."""
    warm_up()
    for codec in ("idna", "ascii", "latin-1"):
        codecs.lookup(codec)


if __name__ == "__main__":
    main()
