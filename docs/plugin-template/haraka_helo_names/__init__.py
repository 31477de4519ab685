"""A plugin for haraka-mta, see helo_names."""
