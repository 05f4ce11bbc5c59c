"""What a run reports: its record, its details for the Temporal UI, its figures, and news to its incident."""
