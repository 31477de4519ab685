"""Mail comes in: listeners, sessions, verbs, the DATA phase. Never imports mta.outbound."""
