"""What obdag knows about DAGs: values and decisions, without I/O, clock or randomness."""
