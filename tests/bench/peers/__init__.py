"""The servers beside Haraka that this one is measured against, each in a file of its own."""
