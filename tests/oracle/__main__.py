"""``python -m tests.oracle``: see play.py."""

from tests.oracle.play import main

raise SystemExit(main())
