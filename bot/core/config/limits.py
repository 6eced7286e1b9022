"""`limits`, at the top level of both versions: what the code of a repository may take."""

from typing import Annotated

from pydantic import ConfigDict, Field

from bot.core.config.section import Section, kebab, listed
from bot.core.config.values import Count, Duration, Line, Pattern, whole
from bot.core.limits import Limits
from bot.core.patterns import MAX_PATTERNS

_Types = Annotated[list[Line], listed(50, "machine types", Line | list[Line])]
_Images = Annotated[list[Pattern], listed(MAX_PATTERNS, "patterns", Pattern | list[Pattern])]
_Runs = Annotated[int, Field(ge=1, le=1_000), whole(1, 1_000)]


class LimitsSection(Section):
    """Limits. Only those in the config of the default branch count."""

    model_config = ConfigDict(alias_generator=kebab)

    running: Count | None = Field(None, description="Experiments of this repository that run at the same time")
    running_per_author: Count | None = Field(None, description="Experiments of one person that run at the same time")
    runs: _Runs | None = Field(None, description="Experiments that one commit may start")
    timeout: Duration | None = Field(None, description="The longest that an experiment may run")
    machine_types: _Types | None = Field(None, description="Machine types that experiments may ask for")
    images: _Images | None = Field(
        None, description="Regular expressions; an image must match one of them as a whole, its registry included"
    )


def read_limits(section: LimitsSection | None) -> Limits:
    """Return the limits that a file sets."""
    if section is None:
        return Limits()
    return Limits(
        section.running,
        section.running_per_author,
        section.runs,
        section.timeout,
        None if section.machine_types is None else tuple(section.machine_types),
        None if section.images is None else tuple(section.images),
    )
