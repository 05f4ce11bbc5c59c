"""Stop a deployment that does not arrive: a procedure of a team's own, as a package."""
