"""The pages, as text: that everything is there and nothing of it is dangerous. How they look was looked at."""

import re
import subprocess
import sys

import pytest
import requests

from bot.devhub import DevHub, Pull, Repository
from bot.devhub.markdown import render
from bot.resources import TEMPLATES
from tests.devhub.client import Client

pytestmark = pytest.mark.service
RUNS = "/repos/acme/digits/check-runs"
OUTPUT = {"title": "accuracy 0.97", "summary": "s"}
EVIL = "<script>alert(1)</script><img src=x onerror=alert(1)>"


def page(hub: DevHub, path: str, status: int = 200) -> str:
    answer = requests.get(hub.url + path, timeout=5)
    assert answer.status_code == status
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    return answer.text


def words(html: str) -> str:
    return " ".join(re.sub(r"<style>.*?</style>|<[^>]+>", " ", html, flags=re.DOTALL).split())


def test_the_icon_is_one_that_the_pages_let_in(hub: DevHub) -> None:
    [icon] = re.findall(r'<link rel="icon" href="([^"]+)"', page(hub, "/"))
    assert icon.startswith("/"), "the policy of the pages lets in no data: addresses"
    answer = requests.get(hub.url + icon, timeout=5)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "image/svg+xml; charset=utf-8")


def test_every_class_that_the_pages_use_has_a_style() -> None:
    style = (TEMPLATES / "devhub" / "style.css").read_text()
    text = "".join(file.read_text() for file in (TEMPLATES / "devhub").glob("*.html"))
    plain = re.sub(r"{{.*?}}|{%.*?%}", " ", text, flags=re.DOTALL)
    used = {name for words in re.findall(r'class="([^"]*)"', plain) for name in words.split()}
    assert len(used) > 20
    assert {name for name in used if not re.search(rf"\.{name}\b", style)} == set()


def test_commits_with_their_checks(hub: DevHub, client: Client, pull: Pull) -> None:
    made = client.post(RUNS, {"name": "train / fit", "head_sha": pull.head_sha, "status": "in_progress"}).json()
    client.post(RUNS, {"name": "experiments", "head_sha": pull.head_sha, "conclusion": "failure"})
    shown = page(hub, "/acme/digits/commits/better")
    assert "1 failing, 1 in progress checks" in words(shown)
    assert shown.index("experiments") < shown.index("train / fit"), "what failed comes first"
    assert 'http-equiv="refresh"' in shown, "it looks again while something is unfinished"
    output = {"title": "accuracy 0.97", "summary": "s"}
    client.patch(made["url"], {"conclusion": "success", "output": output, "details_url": "https://ci.example.com/1"})
    shown = page(hub, "/acme/digits/commits/better")
    assert "train / fit accuracy 0.97 Details" in words(shown)
    assert 'href="https://ci.example.com/1"' in shown
    assert 'http-equiv="refresh"' not in shown
    assert "better" not in words(page(hub, "/acme/digits")).split("Train")[1], "the default branch comes first"


def test_a_pull_request_with_its_comments_and_checks(hub: DevHub, client: Client, pull: Pull) -> None:
    assert "No check has reported" in words(page(hub, "/acme/digits/pull/1"))
    client.post(RUNS, {"name": "experiments", "head_sha": pull.head_sha, "conclusion": "success"})
    client.post("/repos/acme/digits/issues/1/comments", {"body": "| a | b |\n|--|--:|\n| 1 | 2 |"})
    shown = page(hub, "/acme/digits/pull/1")
    assert "acme wants to merge 1 commit into main from better" in words(shown)
    assert "experiment-ci bot commented" in words(shown)
    assert '<th align="right">b</th>' in shown
    assert "All checks have passed 1 successful check" in words(shown)


def test_the_address_of_all_checks_leads_to_the_first_of_the_head(hub: DevHub, client: Client, pull: Pull) -> None:
    assert "No check has reported" in words(page(hub, "/acme/digits/pull/1/checks"))
    client.post(RUNS, {"name": "a", "head_sha": pull.head_sha, "conclusion": "success", "output": OUTPUT})
    client.post(RUNS, {"name": "b", "head_sha": pull.head_sha, "conclusion": "failure", "output": OUTPUT})
    shown = page(hub, "/acme/digits/pull/1/checks")
    assert "<h1>b</h1>" in shown, "what failed comes first"
    assert 'class="name">a</span>' in shown
    page(hub, "/acme/digits/pull/9/checks", 404)


def test_a_check_with_all_that_it_says(hub: DevHub, client: Client, pull: Pull) -> None:
    note = {"path": "train.py", "start_line": 2, "end_line": 2, "annotation_level": "failure", "message": "lr is text"}
    output = {"title": "Failed", "summary": "**why**", "text": EVIL, "annotations": [note]}
    action = {"label": "Stop", "description": "Stop it", "identifier": "stop"}
    body = {"name": "train / fit", "head_sha": pull.head_sha, "output": output, "actions": [action]}
    made = client.post(RUNS, body | {"status": "in_progress"}).json()
    path = made["html_url"].removeprefix(hub.url)
    assert "Stop" not in words(page(hub, path)), "GitHub shows buttons after completion"
    client.patch(made["url"], {"conclusion": "failure"})
    shown = page(hub, path)
    for expected in ("<strong>why</strong>", "lr is text", "train.py", "Stop", "in progress · Failed"):
        assert expected in shown
    assert "onerror" not in shown
    assert "<script" not in shown
    blob = requests.get(f"{hub.url}/acme/digits/blob/{pull.head_sha}/train.py", timeout=5)
    assert (blob.text, blob.headers["Content-Type"]) == ("print(2)\n", "text/plain; charset=utf-8")


def test_names_and_titles_are_text(hub: DevHub, client: Client, repository: Repository) -> None:
    sha = hub.commit_files(repository, {"a": "b"}, branch="evil", message=EVIL)
    pull = hub.open_pull(repository, head="evil", title=EVIL, body=EVIL)
    client.post(RUNS, {"name": EVIL, "head_sha": sha, "output": {"title": EVIL, "summary": EVIL}})
    paths = ["/acme/digits/commits/evil", f"/acme/digits/pull/{pull.number}"]
    for path in [*paths, f"/acme/digits/runs/{hub.checks(repository, sha)[0].id}"]:
        shown = page(hub, path)
        assert "<script" not in shown
        assert "<img src=x onerror" not in shown


def test_the_index_and_what_is_not_there(hub: DevHub, pull: Pull) -> None:
    hub.create_repository("acme", "empty")
    assert "acme/ empty" in words(page(hub, "/"))
    assert "Nothing has been pushed yet" in words(page(hub, "/acme/empty"))
    for path in ("/acme/nothing", "/acme/digits/pull/9", "/acme/digits/commits/nothing", "/acme/digits/runs/1"):
        page(hub, path, 404)
    page(hub, "/acme/digits/blob/main/nothing", 404)
    letter = requests.get(f"{hub.url}/avatars/{pull.author.id}", timeout=5)
    assert letter.headers["Content-Type"].startswith("image/svg+xml")


def test_markdown_keeps_what_github_keeps_and_nothing_else() -> None:
    kept = render(
        "<details open><summary>Log</summary>\n\n```\nx\n```\n\n</details>\n\n<sub>a</sub> ~~b~~ https://example.org\n\n"
        '- [x] c\n\n<img src="https://example.org/x.png" width="10" alt="d">\n\n> [!WARNING]\n> e'
    )
    for expected in (
        *("<details open", "<summary>", "<code>x", "<sub>a</sub>", "<del>b</del>", 'href="https://example.org"'),
        *('type="checkbox"', 'width="10"', '<blockquote class="alert warning">', "<strong>Warning</strong>"),
    ):
        assert expected in kept, expected
    gone = render(
        '<a href="javascript:alert(1)" onclick="x">a</a> <iframe src="x"></iframe> <style>b{}</style>'
        "<p style='color:red' class='c'>d</p> <!-- hidden --> <form action=x><button>e</button></form>"
    )
    for unwanted in ("javascript:", "onclick", "<iframe", "<style", "style=", "class=", "hidden", "<form", "<button"):
        assert unwanted not in gone, unwanted


def test_without_the_extra_markdown_is_shown_as_written_and_says_so() -> None:
    program = (
        "import sys; sys.modules['nh3'] = None\n"
        "import bot.devhub\n"
        "from bot.devhub.markdown import render\n"
        "print(render('**a** <script>'))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "pip install experiment-ci[demo]" in done.stdout
    assert "<pre>**a** &lt;script&gt;</pre>" in done.stdout
