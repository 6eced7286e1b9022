"""Datasets: the ancestor's parallel lists, and a list of mappings. Both say the same."""

import re
from collections.abc import Sequence
from typing import Annotated, ClassVar

from pydantic import ConfigDict, Field
from pydantic.alias_generators import to_camel, to_snake

from bot.core.config.environment import Credential, CredentialsSection
from bot.core.config.models import Dataset
from bot.core.config.problems import quote
from bot.core.config.section import Loc, Reading, kebab, listed
from bot.core.config.values import Line

MAX_DATASETS = 20

_FIELDS = ("name", "aws_access_key_id", "aws_secret_access_key", "version_id", "etag")


class DatasetSection(CredentialsSection):
    """One dataset of the list form."""

    model_config = ConfigDict(alias_generator=to_camel)
    spellings: ClassVar = {
        spelt(name): to_camel(name) for name in _FIELDS for spelt in (to_snake, kebab) if "_" in name
    }

    uri: Line = Field(examples=["s3://bucket/path"], description="An object, a folder or a whole bucket")
    name: Line | None = Field(None, description="It is mounted at `/data/<name>`; default: the URI's last part")
    aws_access_key_id: Credential | None = Field(None, description="Write `secret:<name>`")
    aws_secret_access_key: Credential | None = Field(None, description="Write `secret:<name>`")
    version_id: Line | None = Field(None, description="The version of the object, where the bucket keeps several")
    etag: Line | None = Field(None, description="What the object's ETag must be: another one fails the experiment")


class Version1DatasetSection(DatasetSection):
    """One dataset, in the spelling of version 1."""

    model_config = ConfigDict(alias_generator=kebab)
    spellings: ClassVar = {
        spelt(name): kebab(name) for name in _FIELDS for spelt in (to_snake, to_camel) if "_" in name
    }


Datasets = Annotated[list[DatasetSection], listed(MAX_DATASETS, "datasets", list[DatasetSection])]
Version1Datasets = Annotated[
    list[Version1DatasetSection], listed(MAX_DATASETS, "datasets", list[Version1DatasetSection])
]
Names = Annotated[list[Line | None], listed(MAX_DATASETS, "datasets", Line | list[Line | None])]
Credentials = Annotated[list[Credential | None], listed(MAX_DATASETS, "datasets", Credential | list[Credential | None])]


class DatasetLists(CredentialsSection):
    """The keys of a step's `params` about datasets."""

    datasets: Datasets | None = Field(None, description="S3 data, each mounted read-only at `/data/<name>`")
    dataset_uri: Names | None = Field(None, description="s3://bucket/path, one or a list")
    dataset_name: Names | None = None
    dataset_aws_access_key_id: Credentials | None = Field(None, description="Write `secret:<name>`")
    dataset_aws_secret_access_key: Credentials | None = Field(None, description="Write `secret:<name>`")
    dataset_version_id: Names | None = None
    dataset_etag: Names | None = None


_LISTS = tuple(f"dataset_{field}" for field in _FIELDS)
_URI = re.compile(r"s3://[A-Za-z0-9][A-Za-z0-9._-]*(/\S*)?", re.ASCII)
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}", re.ASCII)


def read_datasets(section: DatasetLists, reading: Reading, loc: Loc) -> tuple[Dataset, ...]:
    """Return the datasets of the `params` at `loc`, in whichever form they stand there."""
    if section.datasets is None:
        return _parallel(section, reading, loc)
    for field in ("dataset_uri", *_LISTS):
        if getattr(section, field) is not None:
            key = to_camel(field)
            hint = "Keep one form: `datasets`, or the lists."
            reading.error(f"`datasets` and `{key}` exclude each other", hint, reading.key_at(*loc, key))
    return read_list(section.datasets, reading, (*loc, "datasets"))


def read_list(sections: Sequence[DatasetSection], reading: Reading, loc: Loc) -> tuple[Dataset, ...]:
    """Return the datasets of the list at `loc`."""
    found: list[Dataset] = []
    for position, section in enumerate(sections):
        at = (*loc, position, "uri")
        _add(found, section.uri, [getattr(section, field) for field in _FIELDS], reading, at, "name")
    return tuple(found)


def _parallel(section: DatasetLists, reading: Reading, loc: Loc) -> tuple[Dataset, ...]:
    """Read the parallel lists. Entries may be null, the lists may be shorter than that of the URIs."""
    uris = section.dataset_uri or []
    for field in _LISTS:
        if len(getattr(section, field) or ()) > len(uris):
            key = to_camel(field)
            reading.error(f"`{key}` has more entries than `datasetUri`", "One for each URI.", reading.key_at(*loc, key))
    found: list[Dataset] = []
    for position, uri in enumerate(uris):
        entries = [_entry(section, field, position) for field in _LISTS]
        _add(found, uri, entries, reading, (*loc, "datasetUri", position), "datasetName")
    return tuple(found)


def _entry(section: DatasetLists, field: str, position: int) -> str | None:
    entries: list[str | None] = getattr(section, field) or []
    return entries[position] if position < len(entries) else None


def _add(
    found: list[Dataset], uri: str | None, entries: list[str | None], reading: Reading, at: Loc, name_key: str
) -> None:
    dataset = _dataset(uri, entries, reading, at, name_key)
    if dataset and any(dataset.name == other.name for other in found):
        hint = f"Give each a name of its own by `{name_key}`."
        reading.error(f"Two datasets are named {quote(dataset.name)}", hint, reading.value_at(*at))
    elif dataset:
        found.append(dataset)


def _dataset(uri: str | None, entries: list[str | None], reading: Reading, at: Loc, name_key: str) -> Dataset | None:
    name, access_key, secret_key, version, etag = entries
    if uri is None or not _URI.fullmatch(uri):
        reading.error("A dataset's URI is expected here", "Write `s3://bucket/path`.", reading.value_at(*at))
        return None
    name = name or _default_name(uri)
    if not _NAME.fullmatch(name):
        hint = f"Give one by `{name_key}`: letters, digits, `.`, `_` and `-`."
        reading.error(f"{quote(name)} cannot be a dataset's name", hint, reading.value_at(*at))
        return None
    if (access_key is None) != (secret_key is None):
        hint = "Name the id and the secret of one key, or neither for public data."
        reading.error("Half of a key cannot sign a request", hint, reading.value_at(*at))
        return None
    return Dataset(uri, name, access_key, secret_key, version, etag)


def _default_name(uri: str) -> str:
    """The last item of the path (or the bucket) without its extension."""
    last = uri.rstrip("/").rsplit("/", 1)[-1]
    return last.removesuffix(".gz").rsplit(".", 1)[0] if "." in last[1:] else last
