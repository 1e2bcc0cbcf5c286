"""Targeted syncs after visits, retention of events, the tracking file."""
