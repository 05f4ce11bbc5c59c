"""Incidents, and the brake on what they start."""
