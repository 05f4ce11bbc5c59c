"""Compose projects through the Docker Engine API."""
