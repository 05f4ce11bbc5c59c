"""What callers of the simulated ECS may ask for, one module per subject."""
