"""Elastic Load Balancing: target groups and the health of their targets."""
