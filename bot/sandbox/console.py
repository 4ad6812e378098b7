"""The channels in a terminal: one line for each new message, and for each edit that changed the words."""

from rich.console import Console
from rich.text import Text

from bot.sandbox import mrkdwn
from bot.sandbox.messages import Message
from bot.sandbox.team import Change, Edited, Ephemeral, Posted, Team


class ChannelPrinter:
    """Prints changes of a workspace: `workspace.subscribe(ChannelPrinter(workspace, console))`."""

    def __init__(self, team: Team, console: Console) -> None:
        self._team = team
        self._console = console

    def __call__(self, change: Change) -> None:
        """Print what a person would notice."""
        match change:
            case Posted(message) | Ephemeral(message):
                self._print(message)
            case Edited(before, message) if words(before) != words(message):
                self._print(message)
            case _:
                pass

    def _print(self, message: Message) -> None:
        channel = self._team.channels[message.channel]
        line = Text(f"#{channel.name}", style="cyan")
        line.append("  ")
        if message.thread_ts:
            line.append("↳ ", style="dim")
        line.append(words(message))
        if message.visible_to:
            line.append("  (only visible to you)", style="dim")
        self._console.print(line, soft_wrap=True, highlight=False)


def words(message: Message) -> str:
    """Return the fallback text of a message as plain words in one line."""
    text = mrkdwn.plain(mrkdwn.parse(message.text))
    if not text and message.files:
        text = ", ".join(file.title for file in message.files)
    return " ".join(line.strip() for line in text.splitlines())
