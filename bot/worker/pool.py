"""A few threads for what takes long and may be cut off."""

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class Pool(Executor):
    """Daemon threads, which nobody waits for when the program ends.

    Those of ThreadPoolExecutor are joined at exit: a slow git server would hold up the end of the worker for minutes.
    """

    def __init__(self, size: int, name: str) -> None:
        self._size, self._name = size, name
        self._work: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> "Future[T]":
        """See `Executor.submit`. One thread submits; the threads of the pool are started with the first work."""
        future: Future[T] = Future()

        def work() -> None:
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(fn(*args, **kwargs))
                except BaseException as error:
                    future.set_exception(error)

        self._start()
        self._work.put(work)
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the threads when they have done what was submitted; `cancel_futures`: what they are at, and no more."""
        if cancel_futures:
            self._drop_all()
        for _ in self._threads:
            self._work.put(None)
        for thread in self._threads if wait else ():
            thread.join()

    def _start(self) -> None:
        if not self._threads:
            names: list[Any] = [f"{self._name}-{number}" for number in range(self._size)]
            self._threads = [threading.Thread(target=self._turn, name=name, daemon=True) for name in names]
            for thread in self._threads:
                thread.start()

    def _turn(self) -> None:
        while (work := self._work.get()) is not None:
            work()

    def _drop_all(self) -> None:
        while True:
            try:
                self._work.get_nowait()
            except queue.Empty:
                return
