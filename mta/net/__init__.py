"""The wire: blocking sockets, DNS, TLS and the SMTP client."""
