"""The client of OBShell agents: encryption, wire format, errors."""
