"""What techniques that heat tissue share: tissue on the grid, constants, sizes and energy."""
