"""Python runs this first in each process of a client's suite: knote goes into select, the client gets its view."""

import os

if "KNOTE_VIEW" in os.environ:
    import knote_view

    knote_view.start()
