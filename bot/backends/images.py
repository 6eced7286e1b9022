"""The images of an attempt: pulled, or built from its code, while it is provisioned.

What a registry refuses is the config's fault; that it does not answer is not. Nobody's credentials are used but those
of the config: neither the bot's own, nor those that another repository has just been given.
"""

import base64
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from bot.backends.base import AttemptSpec, Image, TaskGroup
from bot.backends.containers import Container
from bot.backends.dockerfile import objection
from bot.backends.ends import End, Stop, duration
from bot.backends.engine import Engine, EngineError, most_of_each
from bot.backends.interrupts import Interrupts
from bot.backends.journal import Journal
from bot.backends.logfile import LogFile
from bot.backends.longcall import LongCall
from bot.backends.network import PRIVATE, resolv_conf
from bot.backends.references import Reference, ReferenceMalformed
from bot.clock import Clock
from bot.core.registries import PUBLIC
from bot.core.states import State

_LIMIT = 3600.0
"""Seconds that a pull or a build may take."""
_LOOK_EVERY = 1.0
_REFUSED = re.compile(
    r"unauthorized|denied|forbidden|authentication required|invalid username/password|manifest unknown|name unknown"
    r"|not found|no such image|no matching manifest|no image found in|does not exist",
    re.IGNORECASE,
)
"""What engines say of a registry that answers: no such image, or not for you."""
_UNREACHABLE = re.compile(
    r"pinging container registry|connection refused|no such host|i/o timeout|TLS handshake|failed to do request"
)
_WHEN_TOLD = 'read -r _ || exit 1; exec "$@" </dev/null'
_LONGEST_DOCKERFILE = 256 << 10
_IGNORE_FILES = (".containerignore", ".dockerignore")


class Images:
    """Finds, pulls and builds. `fill_in` puts a secret in the place of its name. All may raise Stop."""

    def __init__(
        self,
        engine: Engine,
        run_dir: Path,
        spec: AttemptSpec,
        network: str,
        fill_in: Callable[[str | None], str | None],
        journal: Journal,
        interrupts: Interrupts,
        clock: Clock,
    ) -> None:
        self._engine, self._spec, self._network, self._fill_in = engine, spec, network, fill_in
        self._journal, self._interrupts, self._clock = journal, interrupts, clock
        self._private = run_dir / "scratch" / "registry"
        self._ids: dict[Image, str] = {}
        self._digests: dict[Image, str] = {}
        self._builders: dict[Image, LongCall] = {}

    def pull(self) -> None:
        """Pull what is to be pulled, and start what will build. Before the move: this needs the machine's network."""
        for image in self._images():
            if image.dockerfile is None:
                self._pull(image)
            elif not self._spec.is_trusted:
                raise _fault("an image is built for trusted code only: its Dockerfile runs as root of a container")
            else:
                self._builders[image] = self._builder(image)

    def build(self, group: TaskGroup, workspace: Path, log: LogFile) -> None:
        """Build the group's image from its workspace, if it is one to be built and not built yet."""
        image = group.image
        if image is None or image not in self._builders:
            return
        self._check(image.dockerfile or "", workspace)
        self._journal.note(progress=f"image: building from {image.dockerfile}")
        work = self._builders.pop(image)
        try:
            self._finish(work, log)
            if work.code != 0:
                raise self._not_built(image, work.said)
            self._ids[image] = self._digests[image] = self._id_file(image).read_text().strip()
        finally:
            work.end()
            self._forget(image)

    def note(self) -> None:
        """Write down which images the attempt runs in."""
        known = [{"name": _shown(image), "digest": self._digests[image]} for image in self._images()]
        if known:
            self._journal.note(facts={"image": known[0]} | ({"images": known} if known[1:] else {}))

    def container(self, group: TaskGroup) -> Container | None:
        """Return what the tasks of a group run in, None where that is no image."""
        if group.image is None:
            return None
        image = group.image
        return Container(self._engine, self._ids[image], _shown(image), self._spec.id, image.user)

    def end(self) -> None:
        """End what is still at work."""
        for work in self._builders.values():
            work.end()
        shutil.rmtree(self._private, ignore_errors=True)

    def _images(self) -> list[Image]:
        return list(dict.fromkeys(group.image for group in self._spec.groups if group.image is not None))

    def _pull(self, image: Image) -> None:
        reference = self._reference(image)
        if reference.is_local:
            if not self._spec.is_trusted:
                raise _fault(f"{image.name} is an image of this machine's own, which is for trusted code only")
        else:
            self._journal.note(progress=f"image {image.name}: pulling")
            self._fetch(image, reference)
        try:
            found: dict[str, Any] = json.loads(self._engine.call("image", "inspect", str(reference)))[0]
        except EngineError as error:
            raise _fault(f"the image {image.name} is not there: {error}") from None
        self._ids[image], self._digests[image] = str(found["Id"]), _digest(found, reference)

    def _fetch(self, image: Image, reference: Reference) -> None:
        where = f"docker://{reference}" if self._engine.is_podman else str(reference)
        work = LongCall(self._called(image, reference, "pull", "--quiet", where), self._engine, self._journal)
        try:
            self._finish(work, None)
        finally:
            work.end()
            self._forget(image)
        if work.code != 0:
            state = State.FAILED if _REFUSED.search(work.said) else State.ERROR
            why = f"the image {image.name} cannot be pulled: {_last_line(work.said)}"
            raise Stop(End(state, why, may_retry=state is State.ERROR))

    def _reference(self, image: Image) -> Reference:
        try:
            return Reference.of(image.name, image.registry_url)
        except ReferenceMalformed as error:
            raise _fault(str(error)) from None

    def _called(self, image: Image, reference: Reference | None, verb: str, *words: str) -> list[str]:
        """Return a command of the engine that has the image's credentials, and no others."""
        directory = self._directory(image)
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        file = directory / "config.json"
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as config:
            json.dump({"auths": self._credentials(image, reference)}, config)
        if self._engine.is_podman:
            return [self._engine.program, verb, "--authfile", str(file), *words]
        return [self._engine.program, "--config", str(directory), verb, *words]

    def _credentials(self, image: Image, reference: Reference | None) -> dict[str, Any]:
        username, password = self._fill_in(image.username), self._fill_in(image.password)
        if username is None and password is None:
            return {}
        registry = reference.registry if reference is not None else Reference.of("any/any", image.registry_url).registry
        if registry == PUBLIC and not self._engine.is_podman:
            registry = "https://index.docker.io/v1/"
        return {registry: {"auth": base64.b64encode(f"{username or ''}:{password or ''}".encode()).decode()}}

    def _directory(self, image: Image) -> Path:
        return self._private / str(self._images().index(image))

    def _id_file(self, image: Image) -> Path:
        return self._directory(image) / "id"

    def _forget(self, image: Image) -> None:
        shutil.rmtree(self._directory(image), ignore_errors=True)

    def _builder(self, image: Image) -> LongCall:
        """Return a build that waits until its code is there. It begins outside of the attempt's namespaces, and only
        the commands of its Dockerfile run in the attempt's network."""
        dockerfile = PurePosixPath(image.dockerfile or "")
        group = next(group for group in self._spec.groups if group.image == image)
        workspace = self._private.parents[1] / "workspace" / group.tasks[0]
        words = (*self._build_words(group), "--iidfile", str(self._id_file(image)))
        try:
            command = self._called(image, None, "build", *words, "--file", str(workspace / dockerfile), str(workspace))
        except ReferenceMalformed as error:
            raise _fault(str(error)) from None
        return LongCall(["/bin/sh", "-c", _WHEN_TOLD, "sh", *command], self._engine, self._journal)

    def _build_words(self, group: TaskGroup) -> Iterator[str]:
        if not self._engine.is_root or self._network != PRIVATE:
            yield "--network=host"
        else:
            yield from (f"--network=ns:/proc/{os.getpid()}/ns/net", f"--dns={resolv_conf(PRIVATE, '').split()[1]}")
        if self._engine.is_podman:
            yield "--http-proxy=false"
            yield from (f"--ulimit={name}={most}:{most}" for name, most in most_of_each().items())
        if "memory" in self._engine.controllers:
            yield f"--memory={group.machine.memory_mb}m"

    def _check(self, dockerfile: str, workspace: Path) -> None:
        """Raise Stop unless it is a file of the workspace, no link on the way: the engine reads it as root."""
        path = PurePosixPath(dockerfile)
        is_within = not path.is_absolute() and ".." not in path.parts
        steps = [workspace / Path(*path.parts[: count + 1]) for count in range(len(path.parts))]
        if not is_within or any(step.is_symlink() for step in steps) or not (workspace / path).is_file():
            raise _fault(f"there is no file {dockerfile!r} in the workspace to build an image from")
        with (workspace / path).open(errors="replace") as file:
            if why := objection(file.read(_LONGEST_DOCKERFILE)):
                raise _fault(f"no image is built from {dockerfile!r}: {why}")
            if file.read(1):
                raise _fault(f"no image is built from {dockerfile!r}: it is longer than {_LONGEST_DOCKERFILE >> 10} KB")
        for name in (*_IGNORE_FILES, *(f"{dockerfile}{ignore}" for ignore in _IGNORE_FILES)):
            if (workspace / name).is_symlink():
                raise _fault(f"{name!r} is a link: no image can be built with it")

    def _not_built(self, image: Image, said: str) -> Stop:
        state = State.ERROR if _UNREACHABLE.search(said) and not _REFUSED.search(said) else State.FAILED
        why = f"the image could not be built from {image.dockerfile}: {_last_line(said)}"
        return Stop(End(state, why, may_retry=state is State.ERROR))

    def _finish(self, work: LongCall, log: LogFile | None) -> None:
        """Let it go on and wait for its end."""
        work.go_on()
        give_up = self._clock.monotonic() + _LIMIT
        while not work.has_ended:
            self._interrupts.check()
            if self._clock.monotonic() > give_up:
                raise Stop(End(State.ERROR, f"{self._engine.kind} took longer than {duration(_LIMIT)}"))
            self._interrupts.sleep(_LOOK_EVERY, *work.descriptors)
            work.listen(log)
        work.listen(log)


def _shown(image: Image) -> str:
    return image.name if image.dockerfile is None else f"built from {image.dockerfile}"


def _fault(sentence: str) -> Stop:
    return Stop(End(State.FAILED, sentence))


def _digest(found: dict[str, Any], reference: Reference) -> str:
    """Return what names exactly this image: in its registry, or, where it never was in one, on this machine."""
    digests = [name.partition("@") for name in found.get("RepoDigests") or ()]
    matching = [digest for repository, _, digest in digests if repository in reference.spellings]
    plain = str(found["Id"])
    return matching[0] if matching else plain if plain.startswith("sha256:") else f"sha256:{plain}"


def _last_line(said: str) -> str:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return lines[-1].removeprefix("Error: ")[-400:] if lines else "the engine did not say why"
