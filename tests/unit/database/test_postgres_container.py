"""What the database server in a container says, where its tool's words are lost on the way."""

from contextlib import contextmanager
from datetime import UTC, datetime
from types import SimpleNamespace

from activities.docker.postgres import PostgresContainer, worst_of
from runbook_model.catalog.service_policies import Database
from runbook_model.containers import ServerAnswer

AT = datetime(2026, 1, 1, tzinfo=UTC)


class EngineThatSays:
    """Clients of an engine in whose container each program ends well, with these words."""

    def __init__(self, **words):
        self._words = words

    @contextmanager
    def client(self, _):
        yield SimpleNamespace(api=self)

    def exec_create(self, _, argv, environment):
        assert "PGCONNECT_TIMEOUT" in environment
        return {"Id": argv[0]}

    def exec_start(self, program, *, stream):
        assert stream
        return (bytes([byte]) for byte in self._words[program])

    def exec_inspect(self, _):
        return {"ExitCode": 0}


def ask(**words):
    return PostgresContainer(EngineThatSays(**words))._ask("id", Database(compose_service="postgres"))


def test_connections_are_read_from_what_psql_says():
    answer = ask(pg_isready=b"accepting connections\n", psql=b"3|27\n")
    assert (answer.accepts, answer.used, answer.limit) == (True, 3, 27)


def test_the_most_that_are_used_while_it_is_looked_at_is_what_counts():
    looks = [ask(pg_isready=b"", psql=f"{used}|27\n".encode()) for used in (3, 26, 4)]
    assert worst_of(looks).used == 26


def test_a_moment_in_which_no_connection_is_left_counts_too():
    full = ServerAnswer(accepts=True, full=True, why="too many clients", at=AT)
    looks = [full, ask(pg_isready=b"", psql=b"3|27\n")]
    assert worst_of(looks).full


def test_a_server_that_takes_no_connections_in_the_end_does_not():
    looks = [ask(pg_isready=b"", psql=b"3|27\n"), ServerAnswer(accepts=False, why="stopped", at=AT)]
    assert worst_of(looks).accepts is False


def test_an_answer_that_is_lost_on_the_way_leaves_the_number_unknown():
    answer = ask(pg_isready=b"", psql=b"")
    assert (answer.accepts, answer.used, answer.full) == (True, None, False)
    assert "how many are used is not known" in answer.summary
