"""Pure words: pydantic models and functions of them. Imports nothing else of the product."""
