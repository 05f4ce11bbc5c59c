"""Tasks as real processes on this machine: started, measured, and scraped."""
