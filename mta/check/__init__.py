"""Is this installation fit to be started? What start-up checks, and what `haraka check` finds out besides."""
