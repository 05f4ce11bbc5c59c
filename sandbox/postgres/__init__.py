"""The real PostgreSQL of the sandbox: its servers, their files, logs and protocol."""
