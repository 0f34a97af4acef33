"""Decides where: pods by policy, within the budget and the slots."""
