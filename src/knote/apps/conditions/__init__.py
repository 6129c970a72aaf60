"""What one can wait for: one file per kind, each a Condition."""
