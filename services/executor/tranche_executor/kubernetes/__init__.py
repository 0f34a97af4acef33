"""Pods of Deployments, and the labels by which Services find their modules."""
