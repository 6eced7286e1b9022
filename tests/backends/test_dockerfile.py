"""Dockerfiles that would have the engine, which is root, reach beyond the image that it builds."""

import pytest

from bot.backends.dockerfile import objection

ESCAPES = [
    "RUN --mount=type=cache,id=../../../../etc,target=/x cat /x/shadow",
    "run  --mount=type=bind,from=a,source=/l,target=/h,rw cat /h/etc/shadow",
    'RUN --m"oun"t=type=cache,target=/x true',
    "RUN \\\n  --mount=type=cache,target=/x true",
    "RUN \\\n# a comment\n\n --mo\\\nunt=type=cache,target=/x true",
    "ONBUILD RUN --mount=type=cache,target=/x true",
    "RUN --network=host wget http://127.0.0.1:6379/",
    "RUN --security=insecure true",
    "ADD http://169.254.169.254/latest/meta-data/iam/ /k",
    "add --chown=0 https://10.0.0.1/k /k",
    "ADD \\\n  http://127.0.0.1/ /k",
    "ARG U=http://127.0.0.1/\nADD $U /k",
    "ADD git@10.0.0.1:acme/digits.git /k",
]


@pytest.mark.parametrize("escape", ESCAPES)
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_what_reaches_beyond_the_image_is_refused(escape: str, newline: str) -> None:
    assert objection(f"FROM localhost/tiny AS a\n{escape}\n".replace("\n", newline))


@pytest.mark.parametrize("directive", ["# escape=`", "#syntax=docker.io/evil/frontend", "\ufeff# Escape = `"])
def test_a_text_that_is_read_by_other_rules_is_refused(directive: str) -> None:
    assert "directive" in objection(f"{directive}\nFROM localhost/tiny\n")


def test_an_ordinary_dockerfile_is_built() -> None:
    ordinary = r"""
# syntax is explained below
ARG PYTHON=3.11
FROM python:${PYTHON}-slim AS base
RUN apt-get update && \
    # what Debian has
    apt-get install --yes --no-install-recommends git
RUN pip install --network-timeout 5 https://example.org/wheel.whl && python train.py --dry-run --verbose
COPY --chown=1000 requirements.txt /tmp/
ADD data.tar.gz /data
CMD ["python", "train.py"]
"""
    assert objection(ordinary) == ""
