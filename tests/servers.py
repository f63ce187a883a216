"""Real servers for the tests: those that the soak starts for itself.

A missing program is an error, not a skip: `make test` installs what the tests need.
"""

from evertick.soak.servers import Server, find, free_port, postgres_server, redis_server

__all__ = ["Server", "find", "free_port", "postgres_server", "redis_server"]
