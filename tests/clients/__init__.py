"""Programs from PyPI that have a kqueue back end, unmodified, on knote: `make clients`."""
