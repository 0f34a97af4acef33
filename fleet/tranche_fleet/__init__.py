"""Simulated bases that answer arklet's HTTP API, faults on demand."""
