"""Shop to raw tables: what to read, since when, how far along."""
