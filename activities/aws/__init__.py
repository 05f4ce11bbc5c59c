"""AWS clients, roles and errors, for every AWS service."""
