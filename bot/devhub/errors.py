"""GitHub's refusals, as values that know their answer."""

from typing import Any

DOCS = "https://docs.github.com/rest"


class ApiError(Exception):
    """A refusal: an HTTP status and the body `{"message", "documentation_url", "status", "errors"?}`."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        errors: list[Any] | None = None,
        headers: dict[str, str] | None = None,
        documentation: str = DOCS,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers or {}
        self.body: dict[str, Any] = {"message": message}
        if errors is not None:
            self.body["errors"] = errors
        # A text, although it is a number: GitHub's own choice.
        self.body |= {"documentation_url": documentation, "status": str(status)}


def not_found() -> ApiError:
    """Return what GitHub says of everything that the caller may not even know to exist."""
    return ApiError(404, "Not Found")


def bad_credentials() -> ApiError:
    """Return what GitHub says of a token that is unknown, revoked or expired."""
    return ApiError(401, "Bad credentials")


def forbidden() -> ApiError:
    """Return what GitHub says when the App lacks a permission."""
    return ApiError(403, "Resource not accessible by integration")


def suspended() -> ApiError:
    """Return what GitHub says to an installation that its account has suspended (octokit/octokit.rb#1307)."""
    return ApiError(403, "This installation has been suspended")


def archived() -> ApiError:
    """Return what GitHub says of every write to an archived repository."""
    return ApiError(403, "Repository was archived so is read-only.")


def invalid(resource: str, field: str, message: str, code: str = "custom") -> ApiError:
    """Return GitHub's 422 for a value that is well-formed but not acceptable."""
    detail = {"resource": resource, "code": code, "field": field, "message": message}
    return ApiError(422, "Validation Failed", errors=[detail])


def malformed(sentence: str) -> ApiError:
    """Return GitHub's 422 for a body that does not fit its schema."""
    return ApiError(422, f"Invalid request.\n\n{sentence}")
