"""What the commands about clusters say to people."""

from datetime import datetime

from bot.cli.tables import age
from bot.config import Settings
from bot.slack.wording import count
from bot.store.clusters import Cluster, HealthRow, Registration
from bot.usecases.checking import AgentCheck, CheckFailed

LIST_HEADERS = ["name", "state", "channel", "as of", "agents"]
SCOPE = (
    "watched: the DAGs of the cluster (scale out and in, upgrade, backup, restore, tenants, parameters). "
    "Not shown: what agents do for themselves (init, start and stop, take over, inspection, obproxy)"
)
SCOPE_ALL = f"scope all is stored, but this release watches no more than scope cluster; {SCOPE}"


def prompt(name: str, user: str) -> str:
    """Return the question for a password at the terminal."""
    whose = "root@sys" if user == "root" else "the agent"
    return f"Password of {whose} of {name} (empty if there is none)"


def report(found: AgentCheck | CheckFailed) -> str:
    """Return what the look at one agent came to."""
    if isinstance(found, CheckFailed):
        return f"failed: {found}"
    parts = [
        f"{found.agent}: ok",
        f"obshell {found.version or 'unknown'}",
        f"OceanBase {found.ob_version or 'unknown'}",
        found.zone,
        f"{count(found.unfinished, 'unfinished DAG')}",
    ]
    if found.clock_skewed:
        direction = "ahead of" if found.skew_s > 0 else "behind"
        parts.append(f"WARNING: its clock is {abs(found.skew_s):.0f} s {direction} this machine's")
    return ", ".join(part for part in parts if part)


def advice(registration: Registration, default_channel: str | None) -> list[str]:
    """Return what to know after a registration."""
    lines = [SCOPE_ALL if registration.scope == "all" else SCOPE]
    if registration.insecure:
        lines.append(
            "WARNING: --insecure trusts any certificate, so somebody between could read the password"
        )
    if registration.channel is None and default_channel is None:
        name = registration.name
        lines.append(f"no channel hears of it yet: obdag clusters edit {name} --channel C, or OBDAG_CHANNEL")
    return lines


def list_row(cluster: Cluster, row: HealthRow, now: datetime) -> list[str]:
    """Return the cells of one cluster in the list."""
    registered = cluster.registration
    state = "paused" if cluster.paused else row.state.value
    return [
        cluster.name,
        state,
        registered.channel or "-",
        age(row.checked_at, now),
        " ".join(registered.urls),
    ]


def details(cluster: Cluster, row: HealthRow, settings: Settings, now: datetime) -> list[str]:
    """Return all that is registered about a cluster, except the password."""
    registered = cluster.registration
    pairs = [
        ("name", cluster.name),
        ("state", "paused" if cluster.paused else row.state.value),
        ("last answer", age(row.checked_at, now)),
        ("error", row.error),
        *(("agent", url) for url in registered.urls),
        ("channel", registered.channel or (f"{settings.channel} (default)" if settings.channel else "none")),
        ("interval", f"{registered.interval_s or settings.poll_interval_s:g} s"),
        ("stall after", f"{registered.stall_after_s or settings.stall_after_s:g} s"),
        ("scope", registered.scope),
        ("user", registered.user),
        ("password", "stored" if registered.secret else "empty"),
        ("runbook", registered.runbook),
        ("CA file", registered.ca_file),
        ("client certificate", registered.client_cert),
        ("insecure", "yes" if registered.insecure else None),
    ]
    return [f"{label + ':':<20}{value}" for label, value in pairs if value]
