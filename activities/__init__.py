"""What procedures do to the outside: one module and one class for each outside system."""
