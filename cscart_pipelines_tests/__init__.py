"""The tests: one module per module of the project, and the journeys a user makes, end to end."""
