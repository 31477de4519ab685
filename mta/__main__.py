"""The console script: patch the standard library once, before anything else is imported, then hand over."""

from __future__ import annotations

from mta.memory import rare_collections

rare_collections()  # a tenth of the start went into looking for garbage among modules

from gevent import config, events, monkey  # noqa: E402

# patch_all would look through the entry points of every installed package, four times, for somebody who wants to be told:
# 0.18 s of the 0.3 s that a command takes.
events.notify_and_call_entry_points = events.notify  # type: ignore[attr-defined]
monkey.patch_all()
# Nor does anybody ask which greenlet began which, and where: 250 bytes of each connection.
config.track_greenlet_tree = False


def main() -> None:
    """Run the command line and exit with its status."""
    import sys

    from mta.cli import main as run

    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
