"""Where people are told: one module for each kind of channel that the catalog may name."""
