"""Everything that is Slack's: words, blocks, limits, errors, the socket."""
