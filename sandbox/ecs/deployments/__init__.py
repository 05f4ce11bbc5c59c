"""What happens to a service between calls: tasks live and die, deployments go their way."""
