"""Order export and pushes: assets, checks, jobs, sensors."""
