"""Simulated clusters of OBShell agents, as the recordings of real ones show them, and stories for them."""
