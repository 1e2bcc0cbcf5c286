"""Dagster, by domain: assets, checks, jobs, schedules, sensors. Rules are elsewhere."""
