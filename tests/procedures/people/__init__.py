"""What people order of a run, and what it asks of them."""
