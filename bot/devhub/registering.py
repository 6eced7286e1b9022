"""The pages on which an App is registered from a manifest, looked at, and installed.

GitHub: "Registering a GitHub App from a manifest" and "Installing a GitHub App from a third party". The manifest's form
comes from another site (the bot's), so the page that it leads to changes nothing: the button on that page does.
"""

import json
from dataclasses import replace
from urllib.parse import urlencode, urlsplit

from flask import Blueprint, redirect, render_template, request
from werkzeug.wrappers import Response

from bot.devhub.acting import acting, everybody
from bot.devhub.fence import Refused, check_origin, fence, let_out
from bot.devhub.manifest import LONGEST_NAME, Manifest, ManifestError, parse
from bot.devhub.model import Account, App
from bot.devhub.people import People
from bot.devhub.people.apps import slug_of
from bot.devhub.site import Site

_INVALID = "Invalid GitHub App configuration"


def registering(site: Site) -> Blueprint:
    """Return the pages. Templates: `register.html`, `app.html`, `install.html`, `installation.html`."""
    blueprint = fence(Blueprint("registering", __name__))
    show = _Pages(site)
    for owner in ("/settings/apps", "/organizations/<org>/settings/apps"):
        blueprint.add_url_rule(f"{owner}/new", f"offer {owner}", show.offer, methods=["POST"])
        blueprint.add_url_rule(owner, f"register {owner}", show.register, methods=["POST"])
    blueprint.add_url_rule("/apps/<slug>", "app", show.app)
    blueprint.add_url_rule("/apps/<slug>/installations/new", "choose", show.choose)
    blueprint.add_url_rule("/apps/<slug>/installations/new", "install", show.install, methods=["POST"])
    blueprint.add_url_rule("/settings/installations/<int:number>", "installation", show.installation)
    return blueprint


class _Pages:
    """The views."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def offer(self, org: str | None = None) -> str:
        """Show what the manifest asks for, with the name to be edited."""
        with self._site.world.lock:
            owner, text = self._owner(org), request.form.get("manifest", "")
            manifest = _manifest(text)
            let_out(manifest.redirect_url)
            place = "/settings/apps" if org is None else f"/organizations/{owner.login}/settings/apps"
            state = request.args.get("state", "")
            return self._render("register.html", manifest=manifest, text=text, state=state, owner=owner, place=place)

    def register(self, org: str | None = None) -> Response:
        """Lead back to where the manifest says, with the code by which the App can be fetched."""
        check_origin()
        with self._site.world.lock:
            owner, manifest = self._owner(org), _manifest(request.form.get("manifest", ""))
            name = request.form.get("name", "").strip()
            self._check_name(name)
            code = self._site.registrations.open(replace(manifest, name=name), owner)
        state = request.form.get("state", "")
        return redirect(_with(manifest.redirect_url or "", {"code": code} | ({"state": state} if state else {})))

    def app(self, slug: str) -> str:
        with self._site.world.lock:
            return self._render("app.html", app=self._app(slug))

    def choose(self, slug: str) -> str:
        """Show where the App can be installed: on which account, and once that is chosen, on which repositories."""
        with self._site.world.lock:
            app, world = self._app(slug), self._site.world
            let_out(app.setup_url)
            login = request.args.get("owner")
            owner = None if login is None else self._place(app, login)
            found = [] if owner is None else [each for each in world.repositories.values() if each.owner is owner]
            return self._render(
                "install.html",
                app=app,
                owner=owner,
                owners=self._places(app),
                repositories=found,
                installed=None if owner is None else world.installation_of(owner),
                state=request.args.get("state", ""),
            )

    def install(self, slug: str) -> Response:
        """Install it, and lead to the App's own setup page, where it has one."""
        check_origin()
        world = self._site.world
        with world.lock:
            app = self._app(slug)
            owner = self._place(app, request.form.get("owner", ""))
            chosen = None
            if request.form.get("selection") == "selected":
                ids = request.form.getlist("repositories", type=int)
                chosen = [each for each in world.repositories.values() if each.id in ids and each.owner is owner]
                if not chosen:
                    raise Refused(422, "Choose at least one repository.")
            if world.installation_of(owner) is not None:
                raise Refused(409, f"{app.name} is installed on {owner.login} already.")
            installation = People(self._site).install(owner.login, chosen, acting(world, owner))
        if app.setup_url is None:
            return redirect(f"/settings/installations/{installation.id}", 303)
        answer = {"installation_id": str(installation.id), "setup_action": "install"}
        state = request.form.get("state", "")
        return redirect(_with(app.setup_url, answer | ({"state": state} if state else {})))

    def installation(self, number: int) -> str:
        with self._site.world.lock:
            found = self._site.world.installations.get(number)
            if found is None:
                raise Refused(404, "There is no such installation.")
            reached = self._site.world.covered(found)
            return self._render("installation.html", installation=found, app=self._site.app, repositories=reached)

    def _owner(self, org: str | None) -> Account:
        """Return whose the new App will be: an organization's, or that of whoever sits here."""
        if org is None:
            return acting(self._site.world, self._site.app.owner)
        found = self._site.world.accounts.get(org.lower())
        if found is None or found.kind != "Organization":
            raise Refused(404, f"There is no organization {org}.")
        return found

    def _check_name(self, name: str) -> None:
        slug = slug_of(name)
        if not slug or len(name) > LONGEST_NAME:
            raise Refused(422, f"Name must have 1 to {LONGEST_NAME} characters.", _INVALID)
        if slug in self._site.world.accounts:
            raise Refused(422, "Name is already taken.", _INVALID)

    def _app(self, slug: str) -> App:
        if slug.lower() != self._site.app.slug:
            raise Refused(404, f"There is no App {slug}.")
        return self._site.app

    def _places(self, app: App) -> list[Account]:
        """Return where it can be installed: a private App on the account that owns it alone.

        GitHub: "Making a GitHub App public or private". The App that devhub begins with was registered by nobody, and
        is everybody's.
        """
        return everybody(self._site.world) if app.is_public else [app.owner]

    def _place(self, app: App, login: str) -> Account:
        found = self._site.world.accounts.get(login.lower())
        if found is None or found not in self._places(app):
            raise Refused(404, f"{app.name} cannot be installed on {login}.")
        return found

    def _render(self, template: str, **facts: object) -> str:
        world = self._site.world
        who, people = acting(world, self._site.app.owner), everybody(world)
        # Where a form has led to, nobody can come back to without it.
        here = request.full_path.rstrip("?") if request.method == "GET" else "/"
        return render_template(template, here=here, acting=who, people=people, **facts)


def _manifest(text: str) -> Manifest:
    """Return the manifest; raises Refused, as GitHub's page does, for what is none."""
    try:
        manifest = parse(json.loads(text))
    except (ValueError, RecursionError) as error:
        said = str(error) if isinstance(error, ManifestError) else "The manifest is not JSON"
        words = f"The configuration does not appear to be a valid GitHub App manifest. Error: {said}"
        raise Refused(422, words, _INVALID) from error
    if manifest.redirect_url is None:
        # GitHub's own page says nothing of it; without it nobody could fetch the App.
        raise Refused(422, "Error: Redirect url is missing", _INVALID)
    return manifest


def _with(url: str, answer: dict[str, str]) -> str:
    parts = urlsplit(url)
    query = "&".join(filter(None, (parts.query, urlencode(answer))))
    return parts._replace(query=query).geturl()
