"""Polling: when a cluster is asked, through which agent, and what is stored of the answer."""
