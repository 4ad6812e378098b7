"""Which channel hears what."""

from sqlalchemy import Connection, select

from bot.core.routing import Level, Subscription
from bot.store.schema import subscriptions


def load(connection: Connection) -> list[Subscription]:
    """Return all subscriptions."""
    rows = connection.execute(
        select(subscriptions.c.cluster, subscriptions.c.channel, subscriptions.c.level).order_by(
            subscriptions.c.id
        )
    )
    return [Subscription(cluster=c, channel=ch, level=Level(level)) for c, ch, level in rows]
