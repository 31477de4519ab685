"""The settings: Haraka's configuration files, and one typed schema that knows every default."""

from mta.config.config import Config, DirFile
from mta.config.problem import ConfigError, Notice, Problem

__all__ = ["Config", "ConfigError", "DirFile", "Notice", "Problem"]
