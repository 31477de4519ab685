"""What goes wrong when plugins are loaded."""

from __future__ import annotations


class PluginError(Exception):
    """One line for the operator: which plugin, which file and line, what is wrong."""
