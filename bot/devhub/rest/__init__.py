"""The REST calls that we use, in GitHub's shapes. Each file has the calls for one kind of thing."""

from flask import Blueprint

from bot.devhub.rest import app, checks, comments, comparisons, manifests, repositories
from bot.devhub.rest.routing import api
from bot.devhub.site import Site

ROUTES = [route for each in (app, manifests, repositories, comparisons, checks, comments) for route in each.routes.all]


def rest(site: Site) -> Blueprint:
    """Return the whole API. Below `/api/v3` it is the same: see `bot.devhub.server`."""
    return api(site, ROUTES)
