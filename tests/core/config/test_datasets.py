"""Datasets in their list form; the parallel lists are in `test_version2.py`."""

import pytest

from bot.core.config import Dataset
from tests.core.config.files import accepted, read, single, sound, told

LISTED = """\
version: 2
workflows:
  train:
    steps:
      - name: digits
        command: experiment.run_single_node
        params:
          command: python train.py
          datasets:
            - uri: s3://public-bucket/mnist.tar.gz
            - uri: s3://bucket
              name: all
              awsAccessKeyId: secret:id
              awsSecretAccessKey: secret:key
              versionId: v2
              etag: "1e5"
"""

LISTED_IN_VERSION_1 = """\
version: 1
type: single
worker: {command: python train.py}
datasets:
  - {uri: s3://bucket/a.zip, aws-access-key-id: secret:id, aws-secret-access-key: secret:key, version-id: v2}
"""


def test_each_dataset_says_all_about_itself() -> None:
    assert single(accepted(LISTED)).datasets == (
        Dataset("s3://public-bucket/mnist.tar.gz", "mnist"),
        Dataset("s3://bucket", "all", "secret:id", "secret:key", "v2", "1e5"),
    )


def test_version_1_has_the_list_too_in_its_own_spelling() -> None:
    assert single(accepted(LISTED_IN_VERSION_1)).datasets == (
        Dataset("s3://bucket/a.zip", "a", "secret:id", "secret:key", "v2"),
    )


def one(dataset: str, more: str = "") -> str:
    return sound(params=f"datasets: [{{{dataset}}}]\n          {more}")


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        (
            one("uri: s3://a/b", "datasetName: c"),
            ["12:11 error: `datasets` and `datasetName` exclude each other | Keep one form: `datasets`, or the lists."],
        ),
        (
            one("uri: https://example.com/b.zip"),
            ["11:28 error: A dataset's URI is expected here | Write `s3://bucket/path`."],
        ),
        (
            one("name: b"),
            ["11:22 error: `uri` is missing | Write `uri: s3://bucket/path`."],
        ),
        (
            one("uri: s3://a/b}, {uri: s3://c/b"),
            ["11:45 error: Two datasets are named `b` | Give each a name of its own by `name`."],
        ),
        (
            one("uri: s3://a/b, name: .."),
            [
                "11:28 error: `..` cannot be a dataset's name | Give one by `name`: letters, digits, `.`, `_` and `-`.",
            ],
        ),
        (
            one("uri: s3://a/b, awsAccessKeyId: AKIA"),
            [
                "11:28 error: Half of a key cannot sign a request | Name the id and the secret of one key, or neither"
                " for public data.",
            ],
        ),
        (
            one("uri: s3://a/b, aws_access_key_id: secret:a, awsSecretAccessKey: secret:b!"),
            [
                "11:38 warning: `aws_access_key_id` is an old spelling of `awsAccessKeyId` | Write `awsAccessKeyId`.",
                "11:87 error: `secret:b!` names no secret | Write `secret:<name>`: letters, digits, `_` and `-`, at"
                " most 100, no digit first.",
            ],
        ),
        (
            sound(params="datasets: {uri: s3://a/b}"),
            ["11:21 error: A list is expected here | Begin each item with `- `."],
        ),
        (
            sound(params="datasetUri: https://example.com/b.zip"),
            ["11:23 error: A dataset's URI is expected here | Write `s3://bucket/path`."],
        ),
    ],
)
def test_what_is_no_dataset(text: str, problems: list[str]) -> None:
    loaded = read(text)

    assert told(loaded) == problems
    assert loaded.config is None


def test_a_key_in_plain_text_gets_a_warning_that_does_not_repeat_it() -> None:
    loaded = read(one("uri: s3://a/b, awsAccessKeyId: AKIA, awsSecretAccessKey: hunter2"))

    assert told(loaded) == [
        "11:60 warning: `awsSecretAccessKey` stands here in plain text | Everyone who can read the repository can read"
        " it: revoke it, and write `secret:<name>`.",
    ]
    assert "hunter2" not in repr(loaded)
