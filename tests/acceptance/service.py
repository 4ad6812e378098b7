"""`obdag run` as a process of its own, beside a local Slack."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from bot.sandbox.workspace_server import WorkspaceServer


class Service:
    """`obdag run` as a process of its own, over one database; started again whenever it was killed."""

    def __init__(self, folder: Path, slack: WorkspaceServer) -> None:
        self._folder = folder
        self._environment = {
            "PATH": os.defpath,
            "PYTHONPATH": str(Path(__file__).parents[2]),
            "SLACK_BOT_TOKEN": slack.workspace.bot_token,
            "SLACK_APP_TOKEN": slack.workspace.app_token,
            "SLACK_API_URL": slack.api_url,
            "OBDAG_CHANNEL": next(iter(slack.workspace.channels)),
            "OBDAG_HTTP": "",
            "OBDAG_POLL_INTERVAL": "1",
            "OBDAG_LOG_LEVEL": "warning",
        }
        self._process: asyncio.subprocess.Process | None = None
        self.kills = 0

    async def command(self, *arguments: str, text: str = "") -> int:
        """Run another command to its end."""
        process = await self._start(*arguments, stdin=asyncio.subprocess.PIPE)
        await process.communicate(text.encode())
        return process.returncode or 0

    async def keep_running(self) -> None:
        """Start the service again and again, until this is cancelled."""
        while True:
            self._process = await self._start("run")
            try:
                await self._process.wait()
            finally:
                if self._process.returncode is None:
                    self._process.kill()
                    await self._process.wait()

    def kill(self) -> None:
        """Kill it now, if it lives."""
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(signal.SIGKILL)
            self.kills += 1

    async def _start(self, *arguments: str, stdin: int | None = None) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            sys.executable, "-m", "bot", *arguments, cwd=self._folder, env=self._environment, stdin=stdin
        )


@asynccontextmanager
async def kept_running(service: Service) -> AsyncIterator[None]:
    """Have the service running, whatever kills it, while the block runs."""
    task = asyncio.create_task(service.keep_running())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
