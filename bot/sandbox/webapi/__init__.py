"""Slack's Web API over the state of the local Slack: one function per method, in modules by family.

A method takes (team, params, now) and returns the answer's fields, or raises `Refusal` with Slack's word.
"""
