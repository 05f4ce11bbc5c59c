"""Measuring a service, for verification and for diagnosis."""
