"""The database: one function per intent, given a connection, returning values of `core`."""
