"""A template that forgets to neutralise is safe; one that shows what is no text does not render."""

import pytest
from jinja2 import DictLoader, UndefinedError

from bot.core.report import Renderer
from bot.core.report.renderer import sentence
from bot.core.text import Safe


def rendered(template: str, **context: object) -> str:
    return Renderer(DictLoader({"report/x.md.j2": template})).markdown("x", **context)


def test_what_a_template_forgets_is_neutralised() -> None:
    assert rendered("**{{ name }}**", name="@o<b>") == "**@\u200bo&lt;b&gt;**"


def test_what_was_made_safe_is_shown_as_it_is() -> None:
    assert rendered("{{ name|code }} {{ ours }}", name="a_b", ours=Safe("**x**")) == "`a_b` **x**"


def test_gluing_something_to_safe_text_makes_it_suspect_again() -> None:
    assert rendered("{{ name|code ~ evil }}", name="a", evil="<b>") == "\\`a\\`&lt;b&gt;"


@pytest.mark.parametrize("value", [None, 0.5, ["x"], object()])
def test_what_is_no_text_is_a_mistake(value: object) -> None:
    with pytest.raises(TypeError, match="cannot show"):
        rendered("{{ value }}", value=value)


def test_a_missing_name_is_a_mistake() -> None:
    with pytest.raises(UndefinedError):
        rendered("{{ nothing }}")


def test_titles_know_no_markdown() -> None:
    renderer = Renderer(DictLoader({"report/x.title.j2": "{{ name }}\n  {{ name }}"}))
    assert renderer.title("x", name="a_b *c*") == "a_b *c* a_b *c*"


def test_a_reason_s_backticks_are_code() -> None:
    assert sentence("no `a|b` in `x_y` here_") == "no <code>a&#124;b</code> in `x_y` here\\_"
    assert sentence("an odd ` one") == "an odd  one"
