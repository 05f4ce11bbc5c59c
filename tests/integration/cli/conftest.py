import os
from itertools import count

import pytest

from activities.runtime.converter import data_converter
from tests.integration.cli.command_line import CommandLine
from tests.temporal_server import temporal_server

numbers = count(1)


@pytest.fixture(scope="package")
async def temporal():
    """A real Temporal server."""
    pausing = ("--dynamic-config-value", "frontend.WorkflowPauseEnabled=true")
    async with temporal_server(*pausing, data_converter=data_converter) as server:
        yield server


@pytest.fixture
async def runbook(temporal):
    """The command line, with an environment that no other test uses."""
    address = temporal.client.service_client.config.target_host
    return CommandLine(address, f"test-{os.getpid()}-{next(numbers)}", temporal.client)
