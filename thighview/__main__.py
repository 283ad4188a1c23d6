"""``python -m thighview``."""

import sys

from thighview.cli import main

if __name__ == "__main__":
    sys.exit(main())
