"""From the shops to the raw tables: assets, checks, the hourly resync."""
