"""The App as its owner sees it: registered from a manifest, with keys that come and go."""

import re
import secrets

from bot.devhub.auth import new_key_pair
from bot.devhub.manifest import Manifest
from bot.devhub.model import Account, App, World, iso
from bot.devhub.people.acts import Acts


class Apps(Acts):
    """What the owner of the App does with it."""

    def add_key(self) -> str:
        """Return a new private key (PEM) of the App, as good as those that it has."""
        private, public = new_key_pair()
        with self.world.lock:
            self.world.app.public_keys[private] = public
        return private

    def delete_key(self, pem: str) -> None:
        """Make a private key good for nothing.

        Raises KeyError for none of the App's, ValueError for its last one (GitHub: "Managing private keys for GitHub
        Apps": a new one must be there before the only one is deleted).
        """
        with self.world.lock:
            keys = self.world.app.public_keys
            if pem in keys and len(keys) == 1:
                raise ValueError("the only key cannot be deleted")
            del keys[pem]

    def register(self, manifest: Manifest, owner: Account) -> App:
        """Make the App that a manifest describes. devhub knows one: the old one goes, with all that it had.

        Its webhooks go to the manifest's address from now on, the first of them at once (GitHub: "When you register a
        new GitHub App, GitHub sends a ping event to the webhook URL").
        """
        with self.world.lock:
            for installation in list(self.world.installations.values()):
                self.site.tokens.revoke_all(installation)
            self.world.installations.clear()
            for repository in self.world.repositories.values():
                repository.suites.clear()
            app = new_app(self.world, manifest, owner, new_key_pair(), self.site.clock.now())
            app.is_public = manifest.is_public
            self.world.app = app
            courier = self.site.courier
            courier.url, courier.content_type, courier.insecure_ssl = manifest.hook_url, "json", "0"
            if manifest.hook_url is not None:
                self._ping(app)
            return app

    def _ping(self, app: App) -> None:
        courier, now = self.site.courier, iso(app.created_at)
        api = f"{self.site.url}/app/hook"
        hook = {
            "type": "App",
            "id": courier.hook_id,
            "name": "web",
            "active": True,
            "events": list(app.events),
            "config": self.site.hook_config,
            "updated_at": now,
            "created_at": now,
            "app_id": app.id,
            "deliveries_url": f"{api}/deliveries",
        }
        payload = {"zen": "Keep it logically awesome.", "hook_id": courier.hook_id, "hook": hook}
        courier.send("ping", payload, None, None)


def new_app(world: World, manifest: Manifest, owner: Account, keys: tuple[str, str], now: int) -> App:
    """Return the App that a manifest describes, with a pair of keys (private, public: PEM)."""
    slug = slug_of(manifest.name)
    return App(
        id=world.new_id(),
        slug=slug,
        name=manifest.name,
        client_id=f"Iv23{secrets.token_hex(8)}",
        owner=owner,
        bot=world.account(f"{slug}[bot]", "Bot"),
        permissions=manifest.permissions,
        events=manifest.events,
        created_at=now,
        private_key=keys[0],
        public_keys=dict([keys]),
        webhook_secret=secrets.token_hex(20),
        description=manifest.description,
        url=manifest.url,
        setup_url=manifest.setup_url,
    )


def slug_of(name: str) -> str:
    """Return the name as addresses and logins have it."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
