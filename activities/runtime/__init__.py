"""How activities run: fences, interceptors, guards, settings, encryption."""
