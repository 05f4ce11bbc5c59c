"""What every run does: it starts, waits, is cut off, undoes, and ends."""
