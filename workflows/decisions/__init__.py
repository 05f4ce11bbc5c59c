"""Pure questions that procedures ask: what to do, and what came of it. Nothing here raises or touches the outside."""
