"""What can be wrong with a database or a disk, as sentences for the terminal."""

from alembic.util import CommandError
from sqlalchemy.exc import SQLAlchemyError

DATABASE_TROUBLES = (SQLAlchemyError, CommandError, ImportError)
"""What opening the database raises: it does not answer or its URL is none, a newer version made its tables, its driver
is not installed.
"""


def database_sentence(error: Exception) -> str:
    """Return why the database cannot be used. Nothing of DATABASE_URL is in it: it may hold a password."""
    if isinstance(error, CommandError):
        return "its tables are not this version's; a newer version may have made them"
    if isinstance(error, ImportError):
        return f"DATABASE_URL wants a driver that is not installed ({error.name})"
    # A driver's own words are the part that people can search for; SQLAlchemy's add a link and the statement.
    said = str(getattr(error, "orig", None) or error).strip()
    return f"{said.splitlines()[0] if said else type(error).__name__} (DATABASE_URL, DATA_DIR)"


def disk_sentence(error: OSError) -> str:
    """Return why a file or directory cannot be used, with its path."""
    return f"{error.filename}: {error.strerror}" if error.filename else str(error)
