"""The small HTTP server inside the worker: files of a directory, and the pages of plugins."""
