"""Names that people, tests and other tools rely on: of runs, of procedures, of people. Pure."""
