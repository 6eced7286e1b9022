"""The end of the manifest flow: the App that somebody has just named, with its secrets, once."""

from bot.devhub.errors import not_found
from bot.devhub.people import People
from bot.devhub.rest.routing import Answer, Call, Routes

routes = Routes()


@routes.add("POST", "/app-manifests/{code}/conversions")
def convert(call: Call) -> Answer:
    """Make the App, and answer what only its owner may know. Nobody need say who they are: the code is enough."""
    found = call.site.registrations.take(call.arguments["code"])
    if found is None:
        raise not_found()
    app = People(call.site).register(found.manifest, found.owner)
    return Answer(call.shapes.registered(app), 201)
