# PYTHON_ARGCOMPLETE_OK
"""`python -m rpusim` is the command `rpusim`."""

import sys

from rpusim.commands import main

sys.exit(main())
