"""Pages on screen and paper."""
