"""The oracle: what a real FreeBSD kernel answered, and a player that asks knote the same.

``python -m tests.oracle NAME...`` plays traces by hand; ``test_traces.py`` plays all of them.
"""
