"""The language: pure functions over complete lines; no sockets, no gevent, no configuration."""
