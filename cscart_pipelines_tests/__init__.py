"""The tests: one module per module of the project, and the journeys a user makes, end to end."""

from pathlib import Path

PROJECT_ROOT = Path(__file__).resolve().parents[1]
"""The checkout."""
