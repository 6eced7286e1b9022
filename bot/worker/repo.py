"""Where on GitHub a repository of ours is, or one that an event tells of."""

from bot.core import events
from bot.forge.repo import Repo
from bot.store.schema import Repository


def repo_of(repository: Repository | events.Repository) -> Repo:
    """Return where the forge's verbs act. Raises ValueError for names that GitHub does not know."""
    return Repo(repository.installation_id, repository.owner, repository.name)
