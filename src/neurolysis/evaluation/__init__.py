"""Step 1: what causes the pain, where, and which technique suits this patient."""
