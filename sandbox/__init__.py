"""A sandbox on one machine: Temporal, an ECS that runs real processes, Prometheus, and a service to break."""
