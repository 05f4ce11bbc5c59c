import pytest
from temporalio.client import Client

from activities.runtime.converter import data_converter
from tests.crash.lane import Lanes
from tests.sandbox_under_test import running_sandbox


@pytest.fixture(scope="package")
def world():
    """A sandbox that only these tests break; its own services get no requests, as nobody looks at them."""
    with running_sandbox("--no-load") as sandbox:
        yield sandbox


@pytest.fixture(scope="package")
async def lanes(world, tmp_path_factory):
    """Services of these tests' own; their workers end with the last test, whatever becomes of it."""
    client = await Client.connect(world.addresses.temporal, data_converter=data_converter)
    lanes = Lanes(world, client, tmp_path_factory.mktemp("lanes"))
    try:
        yield lanes
    finally:
        lanes.end()
