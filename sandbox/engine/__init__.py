"""A simulated container engine: as much of the Docker Engine API as a compose project needs, over real processes."""
