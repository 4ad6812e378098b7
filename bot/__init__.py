"""obdag: tells Slack what happens to the long operations of OceanBase clusters."""

__version__ = "0.1.0"
