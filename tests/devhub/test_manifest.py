"""The App's manifest, and GitHub's rules for one."""

from pathlib import Path

import pytest

from bot.clock import ManualClock
from bot.devhub import DevHub
from bot.devhub.manifest import ManifestError, read

OURS = Path(__file__).parents[2] / "app.yaml"


def test_ours_asks_for_the_least_that_works() -> None:
    manifest = read(OURS)
    assert manifest.permissions == {
        "metadata": "read",
        "contents": "read",
        "checks": "write",
        "pull_requests": "write",
        "issues": "read",
        "merge_queues": "read",
    }
    assert set(manifest.events) == {"push", "pull_request", "issue_comment", "merge_group", "repository"}


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("  issues: read\n", "", "issue_comment needs the permission issues"),
        ("  merge_queues: read\n", "", "merge_group needs the permission merge_queues"),
        ("  - push\n", "  - pushes\n", "pushes is not known"),
        ("checks: write", "checks: all", "checks cannot be 'all'"),
    ],
)
def test_what_github_would_refuse(tmp_path: Path, old: str, new: str, says: str) -> None:
    path = tmp_path / "app.yaml"
    text = OURS.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(ManifestError, match=says):
        read(path)


@pytest.mark.service
def test_an_app_hears_only_what_its_manifest_allows(tmp_path: Path, clock: ManualClock) -> None:
    path = tmp_path / "app.yaml"
    text = OURS.read_text().replace("  - push\n", "").replace("checks: write", "checks: read")
    path.write_text(text)
    with DevHub(tmp_path / "hub", clock, manifest=path) as hub:
        repository = hub.create_repository("acme", "digits")
        hub.commit_files(repository, {"a": "b"})
        hub.commit_files(repository, {"a": "c"}, branch="side")
        hub.open_pull(repository, head="side")
        assert [d.event for d in hub.deliveries] == ["repository", "pull_request"]
