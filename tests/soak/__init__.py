"""Long runs, each by its own command: `make soak-model`, `soak-owners`, `sanitize`, `tsan`."""
