"""Questionnaires, recovery scores and opioid counting: definitions as data, scoring as functions."""
