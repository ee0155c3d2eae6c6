"""`python -m minicompress` does the tour; with arguments, what the command `minicompress` does."""

import sys

from .cli import main

sys.exit(main(sys.argv[1:] or ["tour"]))
