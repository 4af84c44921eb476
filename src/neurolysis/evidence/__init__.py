"""Cited data and how to ask it; every number has a source."""
