"""The script that gives a namespace what the product relies on, run against a real Temporal."""

import os
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import ListSearchAttributesRequest
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client

from runbook_model.names.ids import SEARCH_ATTRIBUTES
from sandbox.temporal import TemporalServer, find_temporal

SCRIPT = Path(__file__).parents[3] / "deploy/temporal/namespace.sh"
NAMESPACE = "fresh"


def set_up(address):
    environment = os.environ | {
        "PATH": f"{find_temporal().parent}{os.pathsep}{os.environ['PATH']}",
        "TEMPORAL_ADDRESS": address,
        "TEMPORAL_NAMESPACE": NAMESPACE,
    }
    return subprocess.run(
        ["sh", SCRIPT], env=environment, capture_output=True, text=True, check=False, timeout=60
    )


@pytest.fixture
async def temporal(tmp_path):
    server = TemporalServer(tmp_path)
    await server.start()
    yield server
    await server.end()


@pytest.mark.rare
async def test_it_creates_a_namespace_that_the_product_can_use_and_may_run_again(temporal):
    for _ in range(2):
        done = set_up(temporal.address)
        assert done.returncode == 0, done.stderr

    client = await Client.connect(temporal.address, namespace=NAMESPACE)
    described = await client.workflow_service.describe_namespace(
        DescribeNamespaceRequest(namespace=NAMESPACE)
    )
    retention = described.config.workflow_execution_retention_ttl.ToTimedelta()
    assert retention == timedelta(days=90)
    listed = await client.operator_service.list_search_attributes(
        ListSearchAttributesRequest(namespace=NAMESPACE)
    )
    assert dict(listed.custom_attributes) == {
        key.name: IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD for key in SEARCH_ATTRIBUTES
    }


async def test_it_fails_when_temporal_is_away(temporal):
    await temporal.kill()
    done = set_up(temporal.address)
    assert done.returncode != 0
    assert "failed connecting to Temporal server" in done.stderr
