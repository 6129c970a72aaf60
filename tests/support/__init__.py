"""Helpers that every test may use; the fixtures made from them are in tests/conftest.py."""
