"""What the pages let in and out: nothing runs, nothing frames them, and no other site presses their buttons.

What the pages show was written by a bot under test, or by its experiments; whoever looks at them has other pages open.
"""

from urllib.parse import urlsplit

from flask import Blueprint, Response, g, render_template, request

_POLICY = "default-src 'none'; img-src *; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'"
_HERE = ("127.0.0.1", "localhost", "::1")
"""Names of this machine. Any other that leads here was made up elsewhere (DNS rebinding)."""


class Refused(Exception):
    """Something that cannot be done here, now, or by this person: an HTTP status and a sentence for people."""

    def __init__(self, status: int, sentence: str, title: str | None = None) -> None:
        super().__init__(sentence)
        self.status, self.title = status, title


def fence(blueprint: Blueprint) -> Blueprint:
    """Put the fence around a blueprint's pages, and give its refusals a page."""
    blueprint.after_request(_close)
    blueprint.register_error_handler(Refused, _refusal)
    return blueprint


def let_out(url: str | None) -> None:
    """Let a form of this page lead to another site in the end, by a redirect.

    Chrome and Safari hold `form-action` against the redirects that follow a form, Firefox does not
    (w3c/webappsec-csp#8): the place has to be named.
    """
    if url is not None:
        parts = urlsplit(url)
        place = f"{parts.scheme}://{parts.hostname}" + ("" if parts.port is None else f":{parts.port}")
        # A policy cannot name an address of IPv6.
        g.form_target = f"{parts.scheme}:" if ":" in (parts.hostname or "") else place


def check_origin() -> None:
    """Raise Refused (403) for a form that was sent from another site.

    Browsers say where a form was: `Origin` always, `Sec-Fetch-Site` on their own machine. Programs say neither.
    """
    site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
    parts = urlsplit(origin or "")
    is_here = origin is None or (parts.netloc == request.headers.get("Host") and parts.hostname in _HERE)
    if site not in {None, "same-origin"} or not is_here:
        raise Refused(403, "This was sent from another site.")


def local_path(path: str) -> str | None:
    """Return `path` if it leads nowhere else than to a page of ours."""
    is_ours = path.startswith("/") and not path.startswith("//") and "\\" not in path and path.isprintable()
    return path if is_ours else None


def _close(response: Response) -> Response:
    target = g.get("form_target")
    forms = "form-action 'self'" if target is None else f"form-action 'self' {target}"
    response.headers["Content-Security-Policy"] = f"{_POLICY}; {forms}"
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response


def _refusal(error: Refused) -> tuple[str, int]:
    title = error.title or {403: "You may not do this", 404: "There is no such thing"}.get(error.status, "Not now")
    return render_template("refused.html", title=title, sentence=str(error), here="/"), error.status
