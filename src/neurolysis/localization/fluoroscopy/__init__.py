"""Fluoroscopy: the C-arm, simulated X-rays, the needle's tip from two views, X-ray to CT registration."""
