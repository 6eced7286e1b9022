"""What was granted, beside what is wanted."""

from collections.abc import Collection, Mapping
from typing import Any

from bot.forge.diagnosis.finding import Finding

_LEVELS = {"read": 1, "write": 2, "admin": 3}


def permissions_of(name: str, granted: Mapping[str, Any], wanted: Mapping[str, str], cure: str) -> Finding:
    """Return whether an App, or an installation of it, may do all that is wanted; `cure` says who can change that."""
    held = granted.get("permissions") or {}
    lacking = [f"{p}: {level}" for p, level in sorted(wanted.items()) if _rank(held.get(p)) < _rank(level)]
    if lacking:
        return Finding(name, False, f"Lacking {', '.join(lacking)}.", cure)
    beyond = [f"{p}: {level}" for p, level in sorted(held.items()) if _rank(level) > _rank(wanted.get(p))]
    more = f" More than the bot ever uses: {', '.join(beyond)}." if beyond else ""
    return Finding(name, True, f"All that the manifest asks for.{more}")


def events_of(app: Mapping[str, Any], wanted: Collection[str]) -> Finding:
    """Return whether an App is subscribed to all that is wanted."""
    heard = set(app.get("events") or ())
    lacking = sorted(set(wanted) - heard)
    if not lacking:
        beyond = sorted(heard - set(wanted))
        more = f" More than the bot ever reads: {', '.join(beyond)}." if beyond else ""
        return Finding("events", True, f"Subscribed to all that the manifest asks for.{more}")
    cure = "Tick them on the App's page under “Permissions & events”, at the bottom."
    return Finding("events", False, f"Not subscribed to {', '.join(lacking)}.", cure)


def _rank(level: Any) -> int:
    return _LEVELS.get(str(level), 0)
