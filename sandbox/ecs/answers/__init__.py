"""How what the simulated ECS remembers looks in its answers."""
