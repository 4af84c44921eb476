"""Step 5: recovery, what to watch, instructions, follow-up, diary, complications, recurrence."""
