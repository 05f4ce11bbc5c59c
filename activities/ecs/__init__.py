"""Amazon ECS: services, deployments, task definitions, and waiting for them."""
