"""knote's tests: run them with ``pytest`` from the repository's top."""
