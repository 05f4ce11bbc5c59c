"""``runbook catalog discover``: names for what was found, and the catalog that is written of it."""
