"""The `tranche` command."""
