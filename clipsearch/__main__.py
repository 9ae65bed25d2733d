"""Where the program starts. Ctrl-C ends it quietly even while it is being loaded."""

import sys


def main() -> None:
    try:
        from clipsearch.cli import main as run

        run()
    except KeyboardInterrupt:
        sys.exit(130)  # Exit.INTERRUPTED, of which nothing may be loaded yet


if __name__ == "__main__":
    main()
