"""Processes and files of an installation on one machine: for `tranche up` and `tranche demo`."""
