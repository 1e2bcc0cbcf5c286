"""What keeps Dagster itself in order over months."""
