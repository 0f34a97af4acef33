"""Decides when and how many: validates wishes, cuts batches, opens gates, tells status."""
