"""Step 4: the techniques, each one module that registers a Technique."""
