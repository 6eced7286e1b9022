"""What somebody decides who sets the bot up, and what that means for the App's addresses."""

import re
from dataclasses import dataclass, replace

from bot.settings import is_plain_url, is_public

LONGEST_NAME = 34
"""GitHub: "Registering a GitHub App"."""
NOWHERE = "https://experiment-ci.example.com/webhook"
"""A webhook address that nobody has (RFC 2606): GitHub takes none that is empty or private, and writes down what it
could not deliver.
"""
_LOGIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")


@dataclass(frozen=True)
class GitHub:
    """One GitHub: where its API is, and its pages. No slash at the end of either."""

    api_url: str = "https://api.github.com"
    web_url: str = "https://github.com"

    def apps_page(self, organization: str | None) -> str:
        """Return where an owner's Apps are listed; `/new` below it makes one."""
        owner = "" if organization is None else f"/organizations/{organization}"
        return f"{self.web_url}{owner}/settings/apps"


@dataclass(frozen=True)
class Answers:
    """`organization` is None for an App of one's own account; `is_reachable`: GitHub can reach PUBLIC_URL."""

    github: GitHub
    name: str
    organization: str | None
    public_url: str
    is_reachable: bool

    def problems(self) -> dict[str, str]:
        """Return a sentence for each answer that will not do, by its name."""
        found = {}
        if not 0 < len(self.name) <= LONGEST_NAME or not re.search("[A-Za-z0-9]", self.name):
            found["name"] = f"A name has 1 to {LONGEST_NAME} characters, a letter or digit among them."
        if self.organization is not None and not _LOGIN.fullmatch(self.organization):
            found["organization"] = "Name it as its address does: letters, digits and hyphens."
        if not is_plain_url(self.public_url):
            found["public_url"] = "Write an address such as https://ci.example.com, without anything behind it."
        elif self.is_reachable and self._is_out_of_reach:
            found["public_url"] = (
                f"{self.github.web_url} cannot reach {self.public_url}: that is an address of this machine or of a"
                " private network. Give one that the internet knows, or let the bot fetch what GitHub has to say."
            )
        return found

    def polling(self) -> "Answers":
        """Return the same for a machine that GitHub cannot reach."""
        return replace(self, is_reachable=False)

    @property
    def hook_url(self) -> str:
        """Return the webhook's address: one that nobody has, where the bot fetches and GitHub would refuse its own."""
        return NOWHERE if self._is_out_of_reach else f"{self.public_url}/webhook"

    @property
    def _is_out_of_reach(self) -> bool:
        return is_public(self.github.web_url) and not is_public(self.public_url)
