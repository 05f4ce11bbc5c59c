"""How people decide in a run: messages come in, are judged and signed, and open or close a checkpoint."""
