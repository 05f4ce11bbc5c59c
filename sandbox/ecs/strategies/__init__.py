"""Deployments that shift traffic between two target groups, on a clock of their own: no processes, no tasks."""
