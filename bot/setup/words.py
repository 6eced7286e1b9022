"""What the terminal is told: the words stand in templates/setup/, and nothing that GitHub sends commands a terminal."""

from functools import cache

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from bot.core import config
from bot.resources import TEMPLATES
from bot.setup import reasons


def words(template: str, **facts: object) -> str:
    """Return what `templates/setup/<template>` says, without an empty line at its end."""
    return _environment().get_template(f"setup/{template}").render(**facts).rstrip("\n")


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        finalize=lambda value: config.printable(str(value)),
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701 - no HTML: `printable` does what terminals need
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"shown": reasons.shown, "access": reasons.access}
    return environment
