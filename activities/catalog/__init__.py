"""The worker's catalog, read again for each run."""
