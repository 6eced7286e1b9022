"""`experiment-ci doctor`: each thing that must be right, looked at once, with the cure where it is not."""

from collections.abc import Iterator, Mapping

from bot.clock import Clock
from bot.core import config
from bot.doctor import machine
from bot.doctor.github import GitHub
from bot.forge.diagnosis import Finding
from bot.settings import SettingsError, read


def examine(environ: Mapping[str, str], clock: Clock) -> Iterator[Finding]:
    """Yield what is well and what is not, in the order in which one would look. Never raises for what it finds."""
    try:
        settings = read(environ)
    except SettingsError as error:
        cure = (
            "`experiment-ci setup` writes those that GitHub gives into a file; README.md says where else to get them."
        )
        for problem in error.problems:
            yield Finding("settings", False, problem, cure)
        return
    yield Finding("settings", True, f"App {settings.app_id}, data in {settings.data_dir}")
    yield from machine.private_key(settings)
    with GitHub(settings, clock, polls=settings.polls) as github:
        yield from github.what_it_knows()
        data = machine.data(settings)
        yield data
        if data.ok:  # everything below lies in it
            database = machine.database(settings)
            yield database
            if database.ok:
                yield machine.secrets(settings)
                yield machine.inbox(settings, clock)
            yield from github.what_it_sent(has_database=database.ok)
            yield from machine.backend(settings, clock)
            yield machine.worker(settings, clock)
        yield machine.images(settings)
        yield from github.what_it_requires()


def line(finding: Finding) -> str:
    """Return the finding as the terminal shows it. Whatever GitHub or a file says in it, the terminal obeys nothing."""
    cure = f"\n    → {config.printable(finding.cure)}" if finding.cure and not finding.ok else ""
    said = config.printable(f"{finding.name}: {finding.sentence}")
    return f"{'✓' if finding.ok else '✗'} {said}{cure}"
