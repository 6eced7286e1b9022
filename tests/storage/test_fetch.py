"""The program that fetches datasets, as its supervisor sees it: a request in, sentences and paths out."""

import fcntl
import io
import json
import os
import re
import signal
import stat
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.storage.lab import ENVIRONMENT, MB, Lab, Middleman, files

pytestmark = pytest.mark.service

Bucket = tuple[Any, str]
SECRETS = {"access_key_id": "AKIA-of-ada", "secret_access_key": "wJalr/XUtn+secret"}


def put(bucket: Bucket, **objects: bytes) -> dict[str, str]:
    """Put objects (`__` is a stroke, `_` a point) and return their etags, without quotes."""
    s3, name = bucket
    keys = {key.replace("__", "/").replace("_", "."): content for key, content in objects.items()}
    return {key: s3.put_object(Bucket=name, Key=key, Body=body)["ETag"].strip('"') for key, body in keys.items()}


def dataset(bucket: Bucket, path: str, name: str = "mnist", **values: str) -> dict[str, Any]:
    """Return what asks for a path of the bucket."""
    return {"uri": f"s3://{bucket[1]}{path}", "name": name, **SECRETS, **values}


def test_objects_folders_archives_and_buckets_are_directories_for_everybody_to_read(lab: Lab, bucket: Bucket) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a/train.csv", b"1,2")
    etags = put(
        bucket, train_bin=b"12345", dir__x_txt=b"x", dir__sub__y_txt=b"y", dir__sub__=b"", set_zip=buffer.getvalue()
    )
    said = lab.fetch(
        dataset(bucket, "/train.bin", "one"),
        dataset(bucket, "/dir/", "folder"),
        dataset(bucket, "/dir", "same"),
        dataset(bucket, "/set.zip", "zip"),
        dataset(bucket, "", "all"),
    )
    one, folder, same, unpacked, everything = said.done
    assert files(Path(one["path"])) == {"train.bin": b"12345"}
    assert (one["etag"], one["bytes"], one["uri"]) == (etags["train.bin"], 5, f"s3://{bucket[1]}/train.bin")
    assert files(Path(folder["path"])) == {"x.txt": b"x", "sub/y.txt": b"y"}
    assert same["path"] == folder["path"]
    assert folder["etag"] is None
    assert files(Path(unpacked["path"])) == {"a/train.csv": b"1,2"}
    assert set(files(Path(everything["path"]))) == {"train.bin", "dir/x.txt", "dir/sub/y.txt", "set.zip"}
    assert stat.S_IMODE(Path(one["path"]).stat().st_mode) == 0o755
    assert stat.S_IMODE((Path(one["path"]) / "train.bin").stat().st_mode) == 0o644


def test_the_etag_of_the_config_is_compared(lab: Lab, bucket: Bucket) -> None:
    etag = put(bucket, train_bin=b"1")["train.bin"]
    assert lab.outcome(dataset(bucket, "/train.bin", etag=f'"{etag}"')).done[0]["etag"] == etag
    said = lab.outcome(dataset(bucket, "/train.bin", etag="abc"))
    assert said.failed == f"dataset mnist: its etag is {etag}, the config says abc"


def test_a_version_is_fetched_as_it_was(lab: Lab, bucket: Bucket) -> None:
    s3, name = bucket
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    first = s3.put_object(Bucket=name, Key="train.bin", Body=b"old")["VersionId"]
    put(bucket, train_bin=b"new")
    said = lab.outcome(dataset(bucket, "/train.bin", "old", version_id=first), dataset(bucket, "/train.bin", "new"))
    assert [files(Path(done["path"]))["train.bin"] for done in said.done] == [b"old", b"new"]
    assert said.done[0]["version_id"] == first


@pytest.mark.parametrize(
    ("path", "values", "sentence"),
    [
        ("/nothing.bin", {}, "there is no s3://"),
        ("/nothing/", {}, "there is nothing in s3://"),
        ("/dir/", {"etag": "abc"}, "`datasetEtag` is for a single object"),
        ("", {"version_id": "1"}, "`datasetVersionId` is for a single object"),
        ("/dir/x.txt", {"version_id": "unknown"}, "unknown"),
        ("/dir/x.txt", {"secret_access_key": ""}, "only one of them is given"),
        ("/up/", {}, "'../evil' is no name for a file here"),
        ("/both/", {}, "both a file and a folder"),
        ("/large.bin", {}, "has 2.0 MB, more than the 1.0 MB that one fetch may have"),
        ("/d.tgz", {}, "the archive is damaged"),
    ],
)
def test_the_users_faults_are_sentences(
    path: str, values: dict[str, str], sentence: str, lab: Lab, bucket: Bucket
) -> None:
    put(bucket, dir__x_txt=b"x", large_bin=b"0" * 2 * MB, both__a=b"1", both__a__b=b"2", d_tgz=b"no tar")
    bucket[0].put_object(Bucket=bucket[1], Key="up/../evil", Body=b"x")
    said = lab.outcome(dataset(bucket, path, **values), max_bytes=MB)
    assert sentence in said.failed
    assert said.failed.startswith("dataset mnist: ")
    assert [path.name for path in lab.cache.iterdir() if path.suffix != ".lock"] == []


@pytest.mark.parametrize(
    "uri", ["https://example.org/mnist.zip", "s3://", "s3://a", "s3://arn:aws:s3:x/y", "s3://a b/c"]
)
def test_what_is_no_address_in_s3_is_said(uri: str, lab: Lab) -> None:
    assert "is not an address of the form s3://bucket/path" in lab.outcome({"uri": uri, "name": "mnist"}).failed


def test_a_workspace_is_a_copy_of_its_own(lab: Lab, bucket: Bucket) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        archive.addfile(tarfile.TarInfo("train.py"))
    put(bucket, code_tgz=buffer.getvalue())
    lab.workspace.mkdir()
    (lab.workspace / "left-over").mkdir()
    owner = [4242, 4343] if os.geteuid() == 0 else [os.getuid(), os.getgid()]
    (done,) = lab.outcome(dataset(bucket, "/code.tgz", ""), owner=owner).done
    assert done["path"] == str(lab.workspace)
    assert done["lock"] is None
    assert files(lab.workspace) == {"train.py": b""}
    for path in (lab.workspace, lab.workspace / "train.py"):
        assert [path.stat().st_uid, path.stat().st_gid] == owner
    assert list(lab.cache.iterdir()) == []


def test_a_dataset_stays_for_as_long_as_its_lock_is_held(lab: Lab, bucket: Bucket) -> None:
    put(bucket, a_bin=b"a" * MB, b_bin=b"b" * MB)
    (first,) = lab.outcome(dataset(bucket, "/a.bin", "a")).done
    with Path(first["lock"]).open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        os.utime(first["lock"], (0, 0))
        lab.outcome(dataset(bucket, "/b.bin", "b"), cache_bytes=MB)
        assert (Path(first["path"]) / "a.bin").exists()
    os.utime(first["lock"], (0, 0))
    lab.outcome(dataset(bucket, "/b.bin", "b"), cache_bytes=MB)
    assert not Path(first["path"]).exists()


def test_killed_in_the_middle_it_leaves_nothing_that_is_taken_for_whole(lab: Lab, bucket: Bucket, moto: str) -> None:
    put(bucket, dir__a=b"a" * MB, dir__b=b"b" * MB)
    with Middleman(moto).serving() as middleman:
        lab.endpoint_url = middleman.url
        middleman.goes_on.clear()
        with lab.started(dataset(bucket, "/dir/")) as process:
            assert middleman.is_stuck.wait(30)
            process.send_signal(signal.SIGKILL)
            process.wait()
        assert {path.parent.suffix for path in lab.cache.glob("*/data")} == {".new"}
        middleman.goes_on.set()
        (done,) = lab.fetch(dataset(bucket, "/dir/")).done
    assert files(Path(done["path"])) == {"a": b"a" * MB, "b": b"b" * MB}
    assert not any(path.suffix == ".new" for path in lab.cache.iterdir())


def test_two_at_once_download_once_and_the_second_says_so(lab: Lab, bucket: Bucket, moto: str) -> None:
    put(bucket, train_bin=b"1" * 3 * MB)
    wanted = dataset(bucket, "/train.bin")
    with Middleman(moto).serving() as middleman:
        lab.endpoint_url = middleman.url
        middleman.goes_on.clear()
        with lab.started(wanted) as first:
            assert middleman.is_stuck.wait(30)
            with lab.started(wanted) as second:
                assert second.stdout is not None
                heard = [json.loads(second.stdout.readline()) for _ in range(2)]
                middleman.goes_on.set()
                said = [json.loads(process.communicate()[0].splitlines()[-1]) for process in (first, second)]
        assert said[0]["done"] == said[1]["done"]
        assert middleman.gets("train.bin") == 1
        assert any("mnist (another experiment fetches it): " in line["progress"] for line in heard)
        assert lab.fetch(wanted).done == said[0]["done"]
        assert middleman.gets("train.bin") == 1


def test_progress_is_told_once_a_second(lab: Lab, bucket: Bucket, moto: str) -> None:
    put(bucket, train_bin=b"1" * 30 * MB)
    with Middleman(moto).serving() as middleman:
        lab.endpoint_url = middleman.url
        middleman.goes_on.clear()
        with lab.started(dataset(bucket, "/train.bin")) as process:
            assert process.stdout is not None
            while (said := json.loads(process.stdout.readline())["progress"]) == "mnist: looking":
                pass
            middleman.goes_on.set()
            process.communicate()
    assert re.fullmatch(r"mnist: \d+(\.\d)? of 30 MB", said)


def test_without_credentials_a_request_is_unsigned_whatever_the_bot_may_read(
    lab: Lab, bucket: Bucket, moto: str
) -> None:
    bucket[0].put_object(Bucket=bucket[1], Key="train.bin", Body=b"1", ACL="public-read")
    lab.environment = {"AWS_ACCESS_KEY_ID": "AKIA-of-the-bot", "AWS_SECRET_ACCESS_KEY": "the-bots-own"}
    with Middleman(moto).serving() as middleman:
        lab.endpoint_url = middleman.url
        assert lab.fetch({"uri": f"s3://{bucket[1]}/train.bin", "name": "mnist"}).done
        assert lab.outcome(dataset(bucket, "/train.bin", "signed")).done
    signatures = [authorization for _, _, authorization in middleman.requests]
    assert signatures[:2] == [None, None]
    assert signatures[2] is not None
    assert "AKIA-of-ada" in signatures[2]


def test_no_secret_is_said_and_none_is_kept(lab: Lab, bucket: Bucket) -> None:
    put(bucket, train_bin=b"1")
    asked = dataset(bucket, "/train.bin", name="wJalr/XUtn+secret")
    said = [
        lab.fetch(asked),
        lab.fetch({**asked, "uri": "s3://wJalr/XUtn+secret"}),
        lab.fetch({**asked, "uri": "https://ada:wJalr%2FXUtn%2Bsecret@h/AKIA-of-ada", "name": ""}),
        lab.fetch({**asked, "uri": "http://127.0.0.1:1/AKIA-of-ada", "name": ""}, allow_private=True),
    ]
    everything = "".join(each.raw for each in said) + repr(files(lab.cache))
    for secret in ("XUtn", "AKIA-of-ada"):
        assert secret not in everything.replace(json.dumps(asked["name"]), "")


def test_a_server_that_is_away_is_no_fault_of_the_user(lab: Lab) -> None:
    lab.endpoint_url = "http://127.0.0.1:1"
    said = lab.outcome({"uri": "s3://data/train.bin", "name": "mnist"})
    assert said.error == "dataset mnist: the S3 server does not answer (EndpointConnectionError)"
    assert said.may_retry, "it may be back the next time"


def test_nobody_listening_any_more_ends_it(lab: Lab, bucket: Bucket, moto: str) -> None:
    put(bucket, train_bin=b"1" * MB)
    with Middleman(moto).serving() as middleman:
        lab.endpoint_url = middleman.url
        middleman.goes_on.clear()
        with lab.started(dataset(bucket, "/train.bin")) as process:
            assert middleman.is_stuck.wait(30)
            assert process.stdout is not None
            process.stdout.close()
            assert process.wait(20) == -signal.SIGKILL


def test_sigterm_ends_it_at_once(lab: Lab, bucket: Bucket, moto: str) -> None:
    put(bucket, train_bin=b"1" * MB)
    with Middleman(moto).serving() as middleman:
        lab.endpoint_url = middleman.url
        middleman.goes_on.clear()
        with lab.started(dataset(bucket, "/train.bin")) as process:
            assert middleman.is_stuck.wait(30)
            process.terminate()
            assert process.wait(5) == -signal.SIGTERM


def test_without_boto3_it_says_what_to_install(lab: Lab) -> None:
    order = {"cache_dir": str(lab.cache), "workspace": str(lab.workspace), "max_bytes": 1, "cache_bytes": 1}
    request = json.dumps({**order, "fetches": [{"uri": "s3://data/x", "name": "mnist"}]}).encode()
    # -S: no site-packages, so no boto3.
    command = [sys.executable, "-S", "-P", "-m", "bot.storage.fetch"]
    done = subprocess.run(command, input=request, capture_output=True, env=ENVIRONMENT, check=True)
    said = json.loads(done.stdout)
    assert said["error"].endswith("pip install 'experiment-ci[s3]'")
    assert said["may_retry"] is False
