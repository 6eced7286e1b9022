"""What people do on GitHub: make repositories, push, open pull requests, comment, press buttons, install the App.

Each act changes the world and sends the webhook that GitHub would send. Each file has the acts about one kind of thing.
"""

from bot.devhub.model import Account
from bot.devhub.people.apps import Apps
from bot.devhub.people.checks import Checks, check_run_of_event
from bot.devhub.people.comments import Comments
from bot.devhub.people.commits import Commits
from bot.devhub.people.merge_queue import MergeQueue
from bot.devhub.people.pulls import Pulls
from bot.devhub.people.repositories import Repositories

__all__ = ["People", "check_run_of_event"]


class People(Apps, Repositories, Commits, Pulls, MergeQueue, Comments, Checks):
    """All acts. Where `by` is left out, the repository's owner acts."""

    def add_user(self, login: str) -> Account:
        """Return the person of that name, made when new."""
        return self.world.account(login)

    def add_organization(self, login: str) -> Account:
        return self.world.account(login, "Organization")
