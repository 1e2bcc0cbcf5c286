"""Synchronisation of a shop to the raw tables: what is read, since when, how far."""
