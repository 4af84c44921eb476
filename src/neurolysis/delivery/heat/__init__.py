"""What techniques that heat tissue share: tissue on the grid, damage and boiling constants, sizes and energy."""
