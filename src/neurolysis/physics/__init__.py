"""Grids, solvers and damage kinetics; knows no patient and no brand. SI units."""
