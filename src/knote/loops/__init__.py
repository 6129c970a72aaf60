"""kqueues in other people's loops."""
