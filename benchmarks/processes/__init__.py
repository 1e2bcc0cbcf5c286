"""Programs that a benchmark starts beside what it measures."""
