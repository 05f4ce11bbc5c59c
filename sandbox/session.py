"""A session that somebody starts in an environment's database by hand, and forgets."""

from __future__ import annotations

from urllib.parse import urlsplit

from sandbox.postgres_files import DATABASE
from sandbox.postgres_wire import Connection

TIMEOUT_SECONDS = 10.0


def forget_session(operator_dsn: str, application: str, statement: str) -> Connection:
    """Start a transaction as the service's role, run a statement in it, and leave it at that.

    Args:
        operator_dsn: what the product connects with; the service's role needs no password.
        application: the name that the database shows for the session.
        statement: what was done before the session was forgotten.

    Raises:
        DatabaseError: the database refuses.
    """
    where = urlsplit(operator_dsn)
    dsn = f"postgresql://{DATABASE}@{where.hostname}:{where.port}{where.path}"
    session = Connection(dsn, application, TIMEOUT_SECONDS)
    session.execute(f"BEGIN; {statement}")
    return session
