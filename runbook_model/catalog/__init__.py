"""The catalog: services, environments, policies and the alert matrix, and what is wrong with a file."""
