"""S3 servers and the program itself, for these plays: real HTTP, real processes, everything on 127.0.0.1."""

import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import requests

from bot.storage.fetch import outcome
from bot.storage.output import Output
from bot.storage.request import Request

ROOT = Path(__file__).parents[2]
MB = 1_000_000
ENVIRONMENT = {
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "LANG": "C.UTF-8",
    "HOME": "/nonexistent",
    "PYTHONPATH": str(ROOT),
}
"""What the supervisor gives to its programs."""


@dataclass
class Said:
    """All that the program said."""

    lines: list[dict[str, Any]]
    raw: str

    @property
    def progress(self) -> list[str]:
        return [line["progress"] for line in self.lines if "progress" in line]

    @property
    def done(self) -> list[dict[str, Any]]:
        assert list(self.lines[-1]) == ["done"], self.raw
        result: list[dict[str, Any]] = self.lines[-1]["done"]
        return result

    @property
    def failed(self) -> str:
        assert list(self.lines[-1]) == ["failed"], self.raw
        return str(self.lines[-1]["failed"])

    @property
    def error(self) -> str:
        assert list(self.lines[-1]) == ["error", "may_retry"], self.raw
        return str(self.lines[-1]["error"])

    @property
    def may_retry(self) -> bool:
        return self.lines[-1].get("may_retry") is True


@dataclass
class Lab:
    """A machine with a cache, and the S3 server that its settings name."""

    directory: Path
    endpoint_url: str | None = None
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def cache(self) -> Path:
        return self.directory / "cache"

    @property
    def workspace(self) -> Path:
        return self.directory / "workspace"

    def fetch(self, *fetches: dict[str, Any], **request: Any) -> Said:
        """Run the program to its end."""
        with self.started(*fetches, **request) as process:
            output, errors = process.communicate(timeout=100)
        raw = output.decode() + errors.decode()
        return Said([json.loads(line) for line in output.splitlines()], raw)

    def outcome(self, *fetches: dict[str, Any], **request: Any) -> Said:
        """Do what the program does, in this process: only its last word is said."""
        order = Request.from_json(self._order(fetches, request))
        output = Output(os.open(os.devnull, os.O_WRONLY), order.secrets)
        with contextlib.ExitStack() as held:
            last = outcome(order, output, held)
        output.end({})
        return Said([last], json.dumps(last))

    def _order(self, fetches: Sequence[dict[str, Any]], request: dict[str, Any]) -> dict[str, Any]:
        return {
            "fetches": list(fetches),
            "cache_dir": str(self.cache),
            "workspace": str(self.workspace),
            "max_bytes": 500 * MB,
            "cache_bytes": 1000 * MB,
            "endpoint_url": self.endpoint_url,
            "owner": [os.getuid(), os.getgid()],
            **request,
        }

    @contextmanager
    def started(self, *fetches: dict[str, Any], **request: Any) -> Iterator[subprocess.Popen[bytes]]:
        """Start the program as the supervisor does, with the request on its stdin."""
        order = self._order(fetches, request)
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "bot.storage.fetch"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=self.directory,
            env=ENVIRONMENT | self.environment,
            start_new_session=True,
        )
        assert process.stdin is not None
        with process:
            try:
                process.stdin.write(json.dumps(order).encode())
                process.stdin.close()
                process.stdin = None
                yield process
            finally:
                process.kill()


def client(endpoint_url: str, access_key: str, secret_key: str) -> Any:
    """Return somebody who fills buckets."""
    import boto3
    from botocore.config import Config

    return boto3.client(
        "s3",
        endpoint_url=endpoint_url,
        region_name="us-east-1",
        aws_access_key_id=access_key,
        aws_secret_access_key=secret_key,
        config=Config(retries={"total_max_attempts": 2}, request_checksum_calculation="when_required"),
    )


def files(directory: Path) -> dict[str, bytes]:
    """Return all files below a directory by their names there."""
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


class Middleman:
    """An S3 server that hands on what another answers, remembers what was asked, and can get stuck in the middle."""

    def __init__(self, server: str) -> None:
        self._server = server
        self.requests: list[tuple[str, str, str | None]] = []
        """Method, path and Authorization of each."""
        self.goes_on = threading.Event()
        self.goes_on.set()
        self.is_stuck = threading.Event()
        self.url = ""

    def gets(self, key: str) -> int:
        """Return how often a key was downloaded, in whole or in part."""
        return sum(method == "GET" and path.split("?")[0].endswith(key) for method, path, _ in self.requests)

    @contextmanager
    def serving(self) -> Iterator["Middleman"]:
        """Serve on a free port."""
        middleman = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                middleman._answer(self)

            do_HEAD = do_GET  # noqa: N815

            def log_message(self, *_: object) -> None:
                pass

        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            server.daemon_threads = True
            self.url = f"http://127.0.0.1:{server.server_port}"
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
            thread.start()
            try:
                yield self
            finally:
                self.goes_on.set()
                server.shutdown()
                thread.join()

    def _answer(self, asked: BaseHTTPRequestHandler) -> None:
        headers = {name: value for name, value in asked.headers.items() if name.lower() != "host"}
        self.requests.append((asked.command, asked.path, asked.headers.get("Authorization")))
        answer = requests.request(asked.command, self._server + asked.path, headers=headers, timeout=30)
        asked.send_response(answer.status_code)
        for name, value in answer.headers.items():
            if name.lower() not in ("server", "date", "connection", "content-length"):
                asked.send_header(name, value)
        asked.send_header("Content-Length", answer.headers["Content-Length"])
        asked.end_headers()
        half = len(answer.content) // 2
        with contextlib.suppress(ConnectionError):
            asked.wfile.write(answer.content[:half])
            asked.wfile.flush()
            if asked.command == "GET" and not self.goes_on.is_set() and "list-type" not in asked.path:
                self.is_stuck.set()
                self.goes_on.wait(60)
            asked.wfile.write(answer.content[half:])
