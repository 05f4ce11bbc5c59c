import pytest

from tests.sandbox_under_test import running_sandbox


@pytest.fixture(scope="session")
def world():
    """A running sandbox, one per test process; tests share it, so they leave it as they found it."""
    with running_sandbox() as sandbox:
        yield sandbox
