"""Nerves: the catalogue, injury along the course."""
