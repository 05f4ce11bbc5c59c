import pytest
from temporalio.client import Client

from activities.runtime.converter import data_converter
from tests.conftest import uses_the_shared_world
from tests.integration.rollback.rollback_stage import Stage
from tests.sandbox_under_test import running_sandbox


@pytest.fixture(scope="session")
def world():
    """A running sandbox, one per test process; tests share it, so they leave it as they found it.

    Its services get no requests but from tests that want some (``under_load``): they are half of what it would use.
    """
    with running_sandbox("--no-load") as sandbox:
        yield sandbox


@pytest.fixture(autouse=True)
def faults_end_with_their_test(request):
    """Clear the faults that no call has met: they would be the next test's."""
    world = request.getfixturevalue("world") if uses_the_shared_world(request.node) else None
    yield
    if world is not None:
        world.clear_faults()


@pytest.fixture(scope="session")
async def worked_world(world, tmp_path_factory):
    """The sandbox with a worker, and a catalog that tests add services of their own to."""
    client = await Client.connect(world.addresses.temporal, data_converter=data_converter)
    stage = Stage(world, tmp_path_factory.mktemp("stage"), client)
    stage.start_worker()
    yield stage
    stage.end()


@pytest.fixture
async def stage(worked_world):
    """Where a test opens services of its own; they are closed when it is over, and the checker has found nothing."""
    yield worked_world
    try:
        assert await worked_world.wrong() == []
    finally:
        worked_world.close_shops()
