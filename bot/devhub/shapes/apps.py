"""The App and its installations, in GitHub's JSON."""

from bot.devhub.model import App, Installation, iso
from bot.devhub.shapes.places import Json, Places


class AppShapes(Places):
    """The shapes of Apps."""

    def app(self, app: App) -> Json:
        """Return the App as everybody may see it."""
        return {
            "id": app.id,
            "client_id": app.client_id,
            "slug": app.slug,
            "node_id": f"A_{app.id}",
            "owner": self.user(app.owner),
            "name": app.name,
            "description": app.description,
            "external_url": app.url or f"{self.web}/apps/{app.slug}",
            "html_url": f"{self.web}/apps/{app.slug}",
            "created_at": iso(app.created_at),
            "updated_at": iso(app.created_at),
            "permissions": dict(app.permissions),
            "events": list(app.events),
        }

    def installation(self, installation: Installation, app: App) -> Json:
        url = f"{self.api}/app/installations/{installation.id}"
        return {
            "id": installation.id,
            "client_id": app.client_id,
            "account": self.user(installation.account),
            "repository_selection": "all" if installation.selected is None else "selected",
            "access_tokens_url": f"{url}/access_tokens",
            "repositories_url": f"{self.api}/installation/repositories",
            "html_url": f"{self.web}/settings/installations/{installation.id}",
            "app_id": app.id,
            "app_slug": app.slug,
            "target_id": installation.account.id,
            "target_type": installation.account.kind,
            "permissions": dict(installation.permissions),
            "events": list(app.events),
            "created_at": iso(installation.created_at),
            "updated_at": iso(installation.updated_at),
            "single_file_name": None,
            "has_multiple_single_files": False,
            "single_file_paths": [],
            "suspended_by": None if installation.suspended_by is None else self.user(installation.suspended_by),
            "suspended_at": None if installation.suspended_at is None else iso(installation.suspended_at),
        }

    def registered(self, app: App) -> Json:
        """Return a new App with all its secrets, as the manifest flow answers once."""
        return self.app(app) | {
            "client_secret": app.client_secret,
            "webhook_secret": app.webhook_secret,
            "pem": app.private_key,
        }
