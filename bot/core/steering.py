"""Variables by which a shell, a loader or an interpreter is told what to load or to run, before the command's own code.

Who gives a run `LR=0.1` gives it a value; who gives it `BASH_ENV=$(…)` gives a shell a command. No list of such names
is whole (each library has some of its own), so this is a second wall: to give variables at all is for those who may
write (`bot/worker/answer.py`).
"""

_NAMES = frozenset(
    {
        *("PATH", "HOME", "SHELL", "IFS", "ENV", "PS4", "CDPATH", "PROMPT_COMMAND", "SHELLOPTS", "BASHOPTS"),
        *("CLASSPATH", "JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "_JAVA_OPTIONS", "GCONV_PATH", "GLIBC_TUNABLES"),
        *("CC", "CXX", "MAKEFLAGS", "MAKEFILES", "EDITOR", "VISUAL", "PAGER", "LESSOPEN", "LESSCLOSE", "BROWSER"),
        *("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR"),
    }
)
_BEGINNINGS = (
    *("LD_", "DYLD_", "BASH_", "PYTHON", "PERL", "RUBY", "NODE_", "GIT_", "SSH_", "PIP_", "UV_", "CONDA_"),
    *("OMPI_", "PMIX_", "PRTE_"),
)


def steers(name: str) -> bool:
    """Tell whether a variable of this name says what other programs load or run, or whom they talk to."""
    known = name.upper()
    return known in _NAMES or known.startswith(_BEGINNINGS) or known.endswith("_PROXY")
