"""The Kubernetes API as Tranche uses it: calls, and lists that are kept up to date by watching."""
