"""CPython's own tests of select.kqueue, selectors and asyncio, unmodified, on knote: `make cpython`."""
