"""Stand-ins that speak real HTTP: simulated OBShell agents and a local Slack, for the demo and the tests."""
