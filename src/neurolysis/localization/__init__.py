"""Step 2: images, tissues, landmarks, nerves and structures in one frame."""
