"""Step 3: local anaesthesia, its safe dose, what it numbs, and the cards for when it goes wrong."""
