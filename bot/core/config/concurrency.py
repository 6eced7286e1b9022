"""`concurrency` of a workflow: runs of one group take turns, and a newer one may take an older one's place."""

import re
from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, Field

from bot.core.config.models import Concurrency
from bot.core.config.section import Section, wrong
from bot.core.config.values import Line, Truth

PLACES = ("workflow", "branch", "pull")
_PLACE = re.compile(r"\{(.*?)\}")
_LONGEST = 200


def _group(value: Any) -> Any:
    if isinstance(value, str):
        unknown = [name for name in _PLACE.findall(value) if name not in PLACES]
        if unknown:
            raise wrong(f"`{{{unknown[0]}}}` is not known here", "There are `{workflow}`, `{branch}` and `{pull}`.")
        if len(value) > _LONGEST:
            raise wrong(f"The group's name is longer than {_LONGEST} characters", "Shorten it.")
    return value


_Group = Annotated[Line, BeforeValidator(_group)]


class ConcurrencySection(Section):
    """Runs of the same group run one after the other."""

    advice: ClassVar = {"cancel-in-progress": "Here it is called `cancel`."}

    group: _Group = Field(
        examples=["gpu-{branch}"],
        description="Runs of the same group take turns; {workflow}, {branch} and {pull} are filled in",
    )
    cancel: Truth | None = Field(
        None, description="true: a newer run of the same branch or pull request stops the older one; default false"
    )


def read_concurrency(section: ConcurrencySection | None) -> Concurrency | None:
    """Return whose turns a workflow's runs wait for."""
    return None if section is None else Concurrency(section.group, bool(section.cancel))
