"""The one AWS address of the sandbox: what is simulated next to ECS, faults on demand, and moto for the rest."""
