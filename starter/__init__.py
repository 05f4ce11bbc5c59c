"""The command line: starts procedures, shows them, and carries decisions to them."""
