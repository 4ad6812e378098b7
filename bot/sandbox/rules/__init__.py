"""Slack's rules about payloads, one module per family; `bot.sandbox.validate` is the way in.

The numbers are Slack's published limits, or what its servers were seen to refuse.
"""
