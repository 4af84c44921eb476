"""Settings that hold for every test."""

from __future__ import annotations

from hypothesis import settings

# How long one example takes depends on the machine and on what else it does; a test must not.
settings.register_profile("house", deadline=None)
settings.load_profile("house")
