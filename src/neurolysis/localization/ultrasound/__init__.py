"""Ultrasound: nerve and vessel found in an image, the probe's plane in the scene, simulated images."""
