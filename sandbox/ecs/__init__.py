"""A simulated Amazon ECS control plane: real API, real rolling deployments, tasks that a runner starts."""

from sandbox.ecs.limits import Pace
from sandbox.ecs.names import ApiError
from sandbox.ecs.simulation import SimulatedEcs

__all__ = ["ApiError", "Pace", "SimulatedEcs"]
