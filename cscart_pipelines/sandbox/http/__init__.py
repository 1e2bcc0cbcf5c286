"""The sandbox's HTTP server: requests, routing, faults, PHP's ways with values."""
