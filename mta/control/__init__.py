"""The control socket: an operator's commands reach the running server, one JSON object a line."""
