"""Markdown as GitHub shows it: rendered by GitHub's own cmark, then cleaned of what GitHub does not let through.

cmarkgfm and nh3 come with the extra `demo`; without them the text is shown as it was written, and says so.
"""

import re

from markupsafe import Markup, escape

try:
    import cmarkgfm
    import nh3
    from cmarkgfm.cmark import Options
except ImportError:
    _IS_COMPLETE = False
else:
    _IS_COMPLETE = True

MISSING = "Markdown is shown as it was written: `pip install experiment-ci[demo]` brings what renders it."
_TAG_NAMES = """
a abbr b bdo blockquote br caption cite code dd del details dfn div dl dt em figcaption figure h1 h2 h3 h4 h5 h6 hr i
img input ins kbd li mark ol p picture pre q rp rt ruby s samp small source span strike strong sub summary sup table
tbody td tfoot th thead time tr tt ul var wbr
"""
"""GitHub's list (github/markup: "The sanitization filter")."""
_ATTRIBUTES = {
    "*": {"align", "dir", "lang", "title"},
    "a": {"href", "id", "name"},
    "details": {"open"},
    "img": {"src", "alt", "width", "height"},
    "input": {"type", "checked", "disabled"},
    "ol": {"start"},
    "source": {"media", "srcset"},
    "td": {"colspan", "rowspan"},
    "th": {"colspan", "rowspan"},
}
_ALERT = re.compile(r"<blockquote>\s*<p>\[!(NOTE|TIP|IMPORTANT|WARNING|CAUTION)\]\s*")


def render(text: str | None) -> Markup:
    """Return safe HTML for Markdown that nobody vouches for."""
    if not _IS_COMPLETE:
        return Markup("<p><em>{}</em></p><pre>{}</pre>").format(MISSING, text or "")
    # Raw HTML passes the renderer, as it does at GitHub, and is judged by the cleaner.
    html = cmarkgfm.github_flavored_markdown_to_html(text or "", Options.CMARK_OPT_UNSAFE)
    clean = nh3.clean(
        html, tags=set(_TAG_NAMES.split()), attributes=_ATTRIBUTES, url_schemes={"http", "https", "mailto"}
    )
    return Markup(_ALERT.sub(_alert, clean))  # noqa: S704 - cleaned just now


def _alert(match: re.Match[str]) -> str:
    name = str(escape(match[1]))
    return f'<blockquote class="alert {name.lower()}"><p><strong>{name.capitalize()}</strong></p><p>'
