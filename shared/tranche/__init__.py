"""Tranche releases Koupleless modules batch by batch within a budget that holds."""
