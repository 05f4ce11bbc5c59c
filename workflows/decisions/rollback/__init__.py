"""A rollback: which release, by which name, and the plan that puts it back. Pure."""
