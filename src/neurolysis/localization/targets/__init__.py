"""Targets from anatomy: rules as data that turn labels or picked landmarks into uncertain nerve curves."""
