"""Orders, the largest entity: windows, reading, reconciliation with the shop."""
