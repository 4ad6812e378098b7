"""The figures of `/metrics`: one object per service, so that two services in one process do not share counts.

Counters are raised where things happen (watch, delivery); gauges that describe stored state are set when
somebody asks (`http/metrics.py`).
"""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram


class Metrics:
    """Counters and gauges in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.polls = Counter(
            "obdag_polls", "Polls of clusters by what they came to.", ["result"], registry=self.registry
        )
        self.poll_seconds = Histogram(
            "obdag_poll_seconds", "Time from asking an agent to the commit.", registry=self.registry
        )
        self.polls_late = Counter(
            "obdag_polls_late", "Polls that began more than one interval late.", registry=self.registry
        )
        self.events = Counter("obdag_events", "Events told, by kind.", ["kind"], registry=self.registry)
        self.deliveries = Counter(
            "obdag_deliveries",
            "Calls to the chat service by kind (root, edit, reply) and outcome.",
            ["what", "outcome"],
            registry=self.registry,
        )
        self.clusters = Gauge("obdag_clusters", "Clusters by state.", ["state"], registry=self.registry)
        self.undelivered = Gauge(
            "obdag_undelivered_notices", "Notices that wait for delivery.", registry=self.registry
        )
        self.undelivered_age = Gauge(
            "obdag_oldest_undelivered_notice_seconds",
            "Age of the oldest undelivered notice; 0 when there is none.",
            registry=self.registry,
        )
        self.refused = Gauge(
            "obdag_refused_notices", "Notices that Slack refused for good.", registry=self.registry
        )
