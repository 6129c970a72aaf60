"""What every engine keeps to."""
