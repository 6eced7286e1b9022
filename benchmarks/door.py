"""How fast the webhook door answers, and what a delivery costs beside a bare Flask route.

Each round starts a server with the settings of `experiment-ci serve` and sends it signed deliveries of 10–20 KB at a
fixed rate from a process of its own. A delivery's latency counts from the moment it was due, not from when the sender
got round to it, and every delivery is a connection of its own, as behind most proxies. The door's rows are counted
afterwards. Ends with status 1 when a bound of docs/design.md does not hold.

    python -m benchmarks.door [--quick]
"""

import argparse
import asyncio
import hashlib
import hmac
import json
import os
import random
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import psutil
from flask import Flask

from bot.backends.base import Backend
from bot.clock import SystemClock
from bot.resources import TEMPLATES
from bot.store.database import Database
from bot.web.serve import serve
from bot.web.server import create_web
from bot.worker_sign import WorkerSign

ROOT = Path(__file__).resolve().parents[1]
SECRET = "a secret of the benchmark"  # noqa: S105 - guards nothing
P99_BOUND_MS = 50.0
CPU_BOUND = 2.5
_WARM_UP = 30
_ITSELF = (sys.executable, "-m", "benchmarks.door")


@dataclass(frozen=True)
class Round:
    """One run against one server: latencies in milliseconds, CPU in milliseconds for each delivery."""

    answers: int
    p50: float
    p99: float
    worst: float
    cpu: float


# The servers


def bare() -> Flask:
    """Return the least that Flask can do."""
    app = Flask("bare")

    @app.post("/webhook")
    def receive() -> tuple[str, int]:
        return "accepted\n", 202

    return app


def door(data_dir: Path) -> Flask:
    """Return the real application."""
    clock = SystemClock()
    return create_web(
        database=Database(f"sqlite:///{data_dir / 'bench.sqlite3'}"),
        clock=clock,
        backend=cast(Backend, None),  # the door asks no backend anything
        sign=WorkerSign(data_dir, clock),
        webhook_secrets=(SECRET,),
        app_id=1,
        public_url="http://127.0.0.1",
        web_url="https://github.com",
        data_dir=data_dir,
        templates=TEMPLATES / "web",
        login_token="a token that nobody uses",  # noqa: S106
    )


def run_server(which: str, port: int, data_dir: Path) -> None:
    """Serve until told to stop."""
    if which == "door":
        database = Database(f"sqlite:///{data_dir / 'bench.sqlite3'}")
        database.migrate(data_dir / "migrate.lock")
        database.close()
    serve(bare if which == "bare" else lambda: door(data_dir), "127.0.0.1", port)


# The sender


def deliveries(count: int, seed: int) -> list[bytes]:
    """Return whole HTTP requests: pushes with as many commits as make up 10–20 KB."""
    chance = random.Random(seed)  # noqa: S311 - the same load each time
    requests = []
    for number in range(count):
        body = _push(chance, chance.randint(10_000, 20_000))
        signature = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
        head = (
            "POST /webhook HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nAccept: */*\r\n"
            "User-Agent: GitHub-Hookshot/044aadd\r\nContent-Type: application/json\r\n"
            f"X-GitHub-Delivery: {uuid.UUID(int=chance.getrandbits(128))}\r\nX-GitHub-Event: push\r\n"
            f"X-GitHub-Hook-ID: {number}\r\nX-GitHub-Hook-Installation-Target-ID: 1\r\n"
            "X-GitHub-Hook-Installation-Target-Type: integration\r\n"
            f"X-Hub-Signature-256: sha256={signature}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        requests.append(head.encode() + body)
    return requests


def _push(chance: random.Random, size: int) -> bytes:
    commits: list[dict[str, object]] = []
    text = ""
    while len(text) < size:
        sha = f"{chance.getrandbits(160):040x}"
        person = {"name": "Codertocat", "email": "21031067+Codertocat@users.noreply.github.com"}
        url = f"https://github.com/Codertocat/Hello-World/commit/{sha}"
        commits.append({"id": sha, "message": "Train longer " * 8, "url": url, "author": person, "committer": person})
        text = json.dumps({"ref": "refs/heads/main", "after": sha, "commits": commits})
    return text.encode()


async def send(port: int, rate: float, seconds: float, seed: int) -> list[float]:
    """Send at `rate` a second whatever the server does; return the latency of each 202 in milliseconds."""
    requests = deliveries(round(rate * seconds), seed)
    latencies: list[float] = []
    start = time.perf_counter() + 0.2

    async def one(number: int, data: bytes) -> None:
        due = start + number / rate
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(data)
        answer = await reader.read()
        writer.close()
        if answer.startswith(b"HTTP/1.1 202 "):
            latencies.append((time.perf_counter() - due) * 1000)

    await asyncio.gather(*(one(number, data) for number, data in enumerate(requests)), return_exceptions=True)
    return latencies


# The measuring


def measure(which: str, rate: float, seconds: float) -> Round:
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as directory:
        port = _free_port()
        server = subprocess.Popen([*_ITSELF, "--serve", which, "--port", str(port), "--data-dir", directory], cwd=ROOT)
        try:
            _wait_for(port, server)
            _send_in_a_process(port, _WARM_UP, 1, seed=1)  # warm: imports, caches, the first pages of the database
            before = _cpu_seconds(server.pid)
            latencies = _send_in_a_process(port, rate, seconds, seed=2)
            cpu = _cpu_seconds(server.pid) - before
        finally:
            server.terminate()
            server.wait(20)
        if which == "door":
            _check_rows(Path(directory) / "bench.sqlite3", len(latencies))
    cuts = statistics.quantiles(latencies, n=100)
    count = round(rate * seconds)
    return Round(len(latencies), cuts[49], cuts[98], max(latencies), cpu * 1000 / count)


def _send_in_a_process(port: int, rate: float, seconds: float, seed: int) -> list[float]:
    options = {"--send": port, "--rate": rate, "--seconds": seconds, "--seed": seed}
    command = [*_ITSELF, *(str(part) for option in options.items() for part in option)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT)
    found: list[float] = json.loads(done.stdout)
    return found


def _check_rows(path: Path, answered: int) -> None:
    connection = sqlite3.connect(path)
    rows = connection.execute("select count(*) from deliveries").fetchone()[0]
    connection.close()
    if rows < answered + _WARM_UP:
        raise SystemExit(f"{answered} deliveries were accepted after {_WARM_UP}, but only {rows} are stored")


def _slowest_fsync() -> float:
    """Return the longest of 200 fsyncs of 16 KB, in milliseconds: what the disk alone may add to an answer just now."""
    longest = 0.0
    with tempfile.TemporaryFile(dir=os.environ.get("BENCH_DIR"), buffering=0) as file:
        for _ in range(200):
            file.write(b"x" * 16_384)
            began = time.perf_counter()
            os.fdatasync(file.fileno())
            longest = max(longest, time.perf_counter() - began)
    return longest * 1000


def _cpu_seconds(pid: int) -> float:
    parent = psutil.Process(pid)
    times = [process.cpu_times() for process in (parent, *parent.children(recursive=True))]
    return sum(one.user + one.system for one in times)


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def _wait_for(port: int, server: subprocess.Popen[bytes]) -> None:
    for _ in range(300):
        if server.poll() is not None:
            raise SystemExit("the server did not start")
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.1)
    raise SystemExit("the server does not listen")


def compare(rate: float, seconds: float, rounds: int) -> bool:
    """Measure, print a table, and return whether every bound holds."""
    print(f"{rate:g} deliveries a second for {seconds:g} s, {rounds} round(s), {os.cpu_count()} cores\n")
    print(f"{'':12}{'answers':>9}{'p50 ms':>9}{'p99 ms':>9}{'max ms':>9}{'CPU ms':>9}{'fsync ms':>10}")
    found: dict[str, list[Round]] = {"bare Flask": [], "the door": []}
    for _ in range(rounds):
        for name, which in (("bare Flask", "bare"), ("the door", "door")):
            disk = _slowest_fsync()
            one = measure(which, rate, seconds)
            found[name].append(one)
            print(
                f"{name:12}{one.answers:9}{one.p50:9.1f}{one.p99:9.1f}{one.worst:9.1f}{one.cpu:9.2f}{disk:10.1f}",
                flush=True,
            )
    p99 = statistics.median(one.p99 for one in found["the door"])
    ratio = statistics.median(
        ours.cpu / theirs.cpu for ours, theirs in zip(found["the door"], found["bare Flask"], strict=True)
    )
    are_answered = all(one.answers == round(rate * seconds) for one in found["the door"])
    bounds = [
        (f"every delivery was answered with 202 and stored: {'yes' if are_answered else 'no'}", are_answered),
        (f"median p99 {p99:.1f} ms, below {P99_BOUND_MS:g} ms", p99 < P99_BOUND_MS),
        (f"median CPU of a delivery {ratio:.2f} of the bare route's, at most {CPU_BOUND:g}", ratio <= CPU_BOUND),
    ]
    print()
    for sentence, holds in bounds:
        print(f"{'✓' if holds else '✗'} {sentence}")
    return all(holds for _, holds in bounds)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one round of 3 seconds")
    parser.add_argument("--rate", type=float, default=100.0, help="deliveries a second")
    parser.add_argument("--seconds", type=float, default=15.0)
    for name in ("--serve", "--data-dir"):
        parser.add_argument(name, help=argparse.SUPPRESS)
    for name in ("--port", "--send", "--seed"):
        parser.add_argument(name, type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        run_server(options.serve, options.port, Path(options.data_dir))
        return 0
    if options.send:
        print(json.dumps(asyncio.run(send(options.send, options.rate, options.seconds, options.seed))))
        return 0
    holds = compare(options.rate, 3.0 if options.quick else options.seconds, 1 if options.quick else 3)
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
