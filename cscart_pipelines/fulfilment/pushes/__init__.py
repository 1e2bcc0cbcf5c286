"""Pushes over many integrations: which have something to push, and the pushes of one run."""
