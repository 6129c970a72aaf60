"""What knote costs, against what else could be written: `python -m bench` in a checkout."""
