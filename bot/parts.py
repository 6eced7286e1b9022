"""What the bot and a run without GitHub have in common, built from settings."""

import os

from bot.backends.base import Backend
from bot.backends.local import Fetching, LocalBackend
from bot.backends.machines import Machines
from bot.backends.processes import Process
from bot.backends.walls import NOBODY
from bot.clock import Clock
from bot.metrics.reader import MetricsReader
from bot.settings import Running


def make_reader() -> MetricsReader:
    """Return a reader that reads what runs wrote as the uid that they have: never as root."""
    return MetricsReader(user=NOBODY[0] if os.getuid() == 0 else None)


def make_backend(settings: Running, machines: Machines, clock: Clock, owner: Process | None = None) -> Backend:
    """Return the backend that the settings name. What it runs ends with `owner`, or outlives everybody (None)."""
    return LocalBackend(
        settings.data_dir,
        machines.capacity,
        clock,
        allow_unisolated=settings.allow_unisolated_trusted_code,
        network=settings.network,
        containers=settings.containers,
        fetching=Fetching(
            settings.s3_endpoint_url,
            settings.s3_region,
            settings.dataset_cache_gb,
            settings.allow_private_sources,
        ),
        owner=owner,
    )
