"""The outside world of procedures: systems as they answer, and people as they order."""
