"""The words that pages are written in."""
