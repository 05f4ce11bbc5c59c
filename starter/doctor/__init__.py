"""Checks of the setup, as the command line sees it."""
