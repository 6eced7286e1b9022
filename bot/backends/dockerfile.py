"""What a Dockerfile of a branch may not say, because the engine that builds it is root on this machine.

The flags of RUN reach beyond the image: `--mount` has let builds at the whole machine (CVE-2024-1753, CVE-2024-9675,
both in podman 4.3.1 of Debian 12), `--network=host` and an address in ADD at its network. This reads the text only: an
ONBUILD of the base image is the engine's alone to see.
"""

import re

_DIRECTIVE = re.compile(r"\s*#\s*(syntax|escape|check)\s*=", re.IGNORECASE)
_CONTINUED = re.compile(r"\\[ \t]*\n")
_DROPPED = re.compile(r"[\s\\`'\"]+")
"""What a reader of Dockerfiles leaves out of a flag, or of an instruction that goes on in the next line."""
_FLAG = re.compile(r"run--(mount|network|security|device)", re.IGNORECASE)
_ADD = re.compile(r"\s*(?:ONBUILD\s+)*ADD\s.*?(://|git@|\$)", re.IGNORECASE)


def objection(text: str) -> str:
    """Return why no image is built from this text, empty when nothing is against it."""
    kept = [line for line in text.replace("\r", "").split("\n") if line.strip() and not line.lstrip().startswith("#")]
    if any(_DIRECTIVE.match(line) for line in text.lstrip("\ufeff").split("\n")):
        return "it begins with a parser directive (`# syntax=`, `# escape=`)"
    whole = "\n".join(kept)
    if (found := _FLAG.search(_DROPPED.sub("", whole))) is not None:
        return f"`RUN --{found[1].lower()}` reaches beyond the image"
    if any(_ADD.match(line) for line in (*kept, *_CONTINUED.sub("", whole).split("\n"))):
        return "`ADD` from an address is fetched by the engine: let `RUN` fetch it"
    return ""
