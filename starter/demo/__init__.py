"""Stories that are played on a sandbox of their own, from outage to recovery."""
