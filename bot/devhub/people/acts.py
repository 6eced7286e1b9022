"""What all acts share."""

from bot.clock import SECOND
from bot.devhub.git import Signature
from bot.devhub.model import Account, World
from bot.devhub.site import Site


class Acts:
    """Acts at one devhub. Where `by` is left out, the repository's owner acts."""

    def __init__(self, site: Site) -> None:
        self.site = site

    @property
    def world(self) -> World:
        return self.site.world

    def _signature(self, who: Account) -> Signature:
        return Signature(who.login, who.email, self.site.clock.now() // SECOND)
