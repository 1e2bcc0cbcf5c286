"""Synchronisations of an integration: the lock, the record, requests to the daemon."""
