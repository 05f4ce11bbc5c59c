"""Metrics, traces and log lines of the product itself."""
