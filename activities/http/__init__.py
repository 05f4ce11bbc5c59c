"""A service over HTTP: health, probes, its own metrics."""
