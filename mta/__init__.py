"""A mail transfer agent on gevent: see docs/flow.md for one message's way through it."""
