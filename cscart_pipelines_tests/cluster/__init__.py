"""Runs on several machines: Celery workers in network namespaces. `make check-cluster`."""
