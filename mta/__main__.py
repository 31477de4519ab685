"""The console script: patch the standard library once, before anything else is imported, then hand over."""

from __future__ import annotations

from gevent import monkey

monkey.patch_all()


def main() -> None:
    """Run the command line and exit with its status."""
    import sys

    from mta.cli import main as run

    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
