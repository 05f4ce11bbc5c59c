"""What was measured and found, and what counts as good. Pure."""
