"""`python -m rpusim` is the command `rpusim`."""

import sys

from rpusim.cli import main

sys.exit(main())
