"""Fixtures of the sandbox's own tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from ecs_world import running_world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ecs_world import World


@pytest.fixture
def world() -> Iterator[World]:
    """A simulated ECS of the test's own."""
    with running_world() as running:
        yield running
