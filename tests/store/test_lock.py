import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import Engine

from bot.store.engine import database_url, make_engine
from bot.store.lock import FileLock, Held, lock_for

HOLD = """
import sys
from pathlib import Path
from bot.store.lock import FileLock
FileLock(Path(sys.argv[1])).acquire()
print("held", flush=True)
sys.stdin.read()
"""


def test_second_service_is_refused_and_told_who_is_first(empty_engine: Engine) -> None:
    """One service at a time; the refusal names the process."""
    first, second = lock_for(empty_engine), lock_for(empty_engine)
    assert first.holder() is None
    first.acquire()
    with pytest.raises(Held, match=r"another obdag run works on .*: process \d+.*; stop it first"):
        second.acquire()
    assert "process" in str(second.holder())
    first.release()
    assert second.holder() is None
    second.acquire()
    second.release()


def test_release_without_acquire_is_harmless(empty_engine: Engine) -> None:
    """A service that never started may be stopped."""
    lock_for(empty_engine).release()


def test_roles_are_apart_on_postgres(postgres_url: str) -> None:
    """On PostgreSQL one process may poll while another delivers."""
    engine = make_engine(database_url(postgres_url))
    poll, deliver = lock_for(engine, "poll"), lock_for(engine, "deliver")
    poll.acquire()
    deliver.acquire()
    poll.release()
    assert poll.holder() is None
    assert deliver.holder() is not None
    deliver.release()
    engine.dispose()


def test_killed_process_leaves_no_lock(tmp_path: Path) -> None:
    """After `kill -9` the next service starts at once."""
    path = tmp_path / "obdag.db.lock"
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "held\n"
        lock = FileLock(path)
        assert lock.holder() == f"process {child.pid}"
        with pytest.raises(Held, match=f"process {child.pid}"):
            lock.acquire()
        child.kill()
        child.wait()
    assert lock.holder() is None
    lock.acquire()
    lock.release()
