"""What a master needs to look after its workers. No event loop: a worker must not inherit one."""
