"""python -m knote"""

import sys

from knote.cli import main

sys.exit(main())
