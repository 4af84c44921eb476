"""Strings the steps together: scene, plan, simulation, injury, rules."""
