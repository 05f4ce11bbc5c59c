"""The worker's catalog, read anew for each run."""
