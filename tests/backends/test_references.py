"""The names of images, and what only looks like one."""

import pytest

from bot.backends.references import Reference, ReferenceMalformed

DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("name", "registry", "meant"),
    [
        ("python", None, "docker.io/library/python:latest"),
        ("pytorch/pytorch:2.1-cuda", None, "docker.io/pytorch/pytorch:2.1-cuda"),
        ("ghcr.io/acme/train", None, "ghcr.io/acme/train:latest"),
        ("localhost/tiny", None, "localhost/tiny:latest"),
        ("localhost:5000/tiny:1", None, "localhost:5000/tiny:1"),
        ("acme/train", "https://registry.example:8443/v2/", "registry.example:8443/acme/train:latest"),
        ("ghcr.io/acme/train", "registry.example", "ghcr.io/acme/train:latest"),
        ("train", "https://index.docker.io/v1/", "docker.io/library/train:latest"),
        (f"acme/train:1@{DIGEST}", None, f"docker.io/acme/train@{DIGEST}"),
        ("acme/a__b-c.d", None, "docker.io/acme/a__b-c.d:latest"),
    ],
)
def test_what_a_name_means(name: str, registry: str | None, meant: str) -> None:
    assert str(Reference.of(name, registry)) == meant


@pytest.mark.parametrize(
    "name",
    [
        *(
            "Test-Container",
            "",
            "--all",
            "-v",
            "a b",
            "a\nb",
            "acme/Train",
            "acme//train",
            "/train",
            "train:",
            "train@sha256:1",
        ),
        *(
            "dir:/var/lib/secrets",
            "docker-archive:/etc/shadow",
            "oci:/tmp/x:latest",
            "docker://x",
        ),
        *("../x", "a" * 401, "ada:lovelace@ghcr.io/x"),
    ],
)
def test_engines_take_more_for_a_name_than_we_do(name: str) -> None:
    with pytest.raises(ReferenceMalformed, match="is not the name of an image"):
        Reference.of(name)


def test_a_registry_is_a_host() -> None:
    with pytest.raises(ReferenceMalformed, match="`ada:pass@host` is not the address of a registry"):
        Reference.of("train", "ada:pass@host")


def test_docker_leaves_out_what_is_the_same_for_all_of_its_own() -> None:
    assert Reference.of("python").spellings == {"docker.io/library/python", "library/python", "python"}
    assert Reference.of("ghcr.io/acme/x").spellings == {"ghcr.io/acme/x"}


def test_only_localhost_without_a_port_is_this_machine() -> None:
    assert Reference.of("localhost/tiny").is_local
    assert not Reference.of("localhost:5000/tiny").is_local
