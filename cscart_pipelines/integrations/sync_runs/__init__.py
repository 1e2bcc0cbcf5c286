"""The synchronisations of an integration: lock, record, progress, requests to the daemon."""
