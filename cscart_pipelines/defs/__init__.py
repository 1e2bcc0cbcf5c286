"""The control room: everything Dagster, and thin.

Assets, checks, jobs, schedules, sensors and alerts that call the other rooms. A rule about shops,
rows or segments does not belong here.
"""
