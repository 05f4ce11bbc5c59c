"""The stories of ``runbook demo``, played and compared with what was recorded of them."""
