"""Mail goes out: submission, spool, engine, delivery, bounces. Never imports mta.inbound."""
