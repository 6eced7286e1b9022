"""Who there is: people, organizations, bots; the App and its installations."""

import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from bot.devhub.model.repositories import Repository


@dataclass(eq=False)
class Account:
    """A person, an organization or an App's bot. `token` opens git (as the password) and the API."""

    id: int
    login: str
    kind: Literal["User", "Organization", "Bot"]
    token: str = field(default_factory=lambda: "ghp_" + secrets.token_hex(18), repr=False)

    @property
    def email(self) -> str:
        return f"{self.id}+{self.login}@users.noreply.github.com"


@dataclass(eq=False)
class App:
    """The GitHub App under test, and the credentials that its bot needs.

    `private_key` is the first key (PEM); `public_keys` has, by private key, every one that is valid. `is_public` tells
    whether others than the owner may install it.
    """

    id: int
    slug: str
    name: str
    client_id: str
    owner: Account
    bot: Account
    permissions: dict[str, str]
    events: tuple[str, ...]
    created_at: int
    private_key: str = field(repr=False)
    public_keys: dict[str, str] = field(repr=False)
    webhook_secret: str = field(repr=False)
    client_secret: str = field(default_factory=lambda: secrets.token_hex(20), repr=False)
    description: str = ""
    url: str | None = None
    setup_url: str | None = None
    is_public: bool = True


@dataclass(eq=False)
class Installation:
    """The App on one account. `selected` None means all of its repositories, else ids.

    `permissions` is what its owner has granted, which may be less than the App asks for by now.
    """

    id: int
    account: Account
    permissions: dict[str, str]
    created_at: int
    updated_at: int
    selected: set[int] | None = None
    suspended_at: int | None = None
    suspended_by: Account | None = None

    @property
    def is_suspended(self) -> bool:
        return self.suspended_at is not None

    def covers(self, repository: "Repository") -> bool:
        if repository.owner is not self.account:
            return False
        return self.selected is None or repository.id in self.selected
