"""What ``runbook doctor`` looks at from a worker: a short check for each thing, all at once, each with its own time."""
