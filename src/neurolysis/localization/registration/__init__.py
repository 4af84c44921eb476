"""Bringing an image taken before the procedure to one taken during it: images, landmarks or surfaces."""
