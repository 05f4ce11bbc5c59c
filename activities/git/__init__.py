"""Git repositories: their tags."""
