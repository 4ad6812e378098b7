"""Getting stored notices to people: order, pacing, retries; knows no chat service."""
