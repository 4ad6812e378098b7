"""The layering of the modules, read from their imports; and that importing them does nothing."""

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MODULES = sorted((ROOT / "bot").rglob("*.py"))

BASE = {"bot", "bot.clock", "bot.listen", "bot.metrics"}
"""Leaves that everybody may use: the version, the type of a clock, an address, the figures."""
MAY_IMPORT: dict[str, set[str]] = {
    "bot.core": {"bot.core"},
    "bot.obshell": {"bot.core", "bot.obshell"},
    "bot.store": {"bot.core", "bot.store"},
    "bot.watch": {"bot.core", "bot.obshell", "bot.store", "bot.watch"},
    "bot.delivery": {"bot.core", "bot.store", "bot.delivery"},
    "bot.usecases": {"bot.core", "bot.obshell", "bot.store", "bot.usecases", "bot.keys"},
    "bot.slack": {"bot.core", "bot.usecases", "bot.delivery.notifier", "bot.slack"},
    "bot.http": {"bot.core", "bot.usecases", "bot.delivery.notifier", "bot.http"},
    "bot.config": {"bot.demands", "bot.values", "bot.variables"},
    "bot.demands": set(),
    "bot.values": {"bot.store.engine"},
    "bot.variables": set(),
    "bot.log": set(),
    "bot.keys": {"bot.config", "bot.store.engine"},
    "bot.sandbox.demo": {
        "bot.app",
        "bot.config",
        "bot.core",
        "bot.keys",
        "bot.log",
        "bot.obshell",
        "bot.store",
        "bot.usecases",
        "bot.sandbox",
    },
    "bot.sandbox": {"bot.core", "bot.obshell.envelope", "bot.sandbox"},
}
"""What a package may use of us besides `BASE`; `bot.app` and `bot.cli` may use what lies below them."""
FENCES = {
    "httpx": {"bot.obshell", "bot.http.heartbeat"},
    "sqlalchemy": {"bot.store"},
    "alembic": {"bot.store.migrate"},
    "apscheduler": {"bot.watch.scheduler"},
    "slack_sdk": {"bot.slack"},
    "slack_bolt": {"bot.slack"},
    "typer": {"bot.cli"},
    "rich": {"bot.cli"},
    "prometheus_client": {"bot.metrics", "bot.http.metrics"},
    "pydantic_settings": {"bot.config"},
}
"""Who may use a library whose words would otherwise spread."""
KNOWS_SANDBOX = {"bot.sandbox", "bot.cli.service"}


def _name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _inside(module: str, packages: set[str]) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in packages)


def _imports(path: Path) -> Iterator[str]:
    """Give what a module imports, wherever in it the import stands."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            yield from (_target(node.module or "", alias.name) for alias in node.names)


def _target(module: str, name: str) -> str:
    """Return the module that `from module import name` means."""
    path = ROOT.joinpath(*module.split("."))
    is_module = (path / name).is_dir() or (path / f"{name}.py").is_file()
    return f"{module}.{name}" if module.startswith("bot") and is_module else module


def _rule(module: str) -> set[str] | None:
    """Return what the most narrow rule for a module allows; None where everything below is allowed."""
    for package in sorted(MAY_IMPORT, key=len, reverse=True):
        if _inside(module, {package}):
            return MAY_IMPORT[package]
    return None


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_imports_point_down(path: Path) -> None:
    """No module imports one above it, nor a sibling of its layer."""
    module = _name(path)
    ours = {name for name in _imports(path) if _inside(name, {"bot"})}
    allowed = _rule(module)
    if allowed is not None:
        strangers = {name for name in ours if name not in BASE and not _inside(name, allowed)}
        assert strangers == set()
    if not _inside(module, {"bot.cli", "bot.__main__"}):
        assert {name for name in ours if _inside(name, {"bot.cli"})} == set()
    if not _inside(module, KNOWS_SANDBOX):
        assert {name for name in ours if _inside(name, {"bot.sandbox"})} == set()


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_libraries_stay_behind_their_fences(path: Path) -> None:
    """A library is imported only where its words belong."""
    module = _name(path)
    for name in _imports(path):
        owners = FENCES.get(name.split(".")[0])
        inside_sandbox = _inside(module, {"bot.sandbox"})
        assert owners is None or inside_sandbox or _inside(module, owners), f"{module} imports {name}"


def test_every_rule_names_something_that_exists() -> None:
    """A rule for a module that is gone protects nothing."""
    known = {_name(path) for path in MODULES}
    named = {*MAY_IMPORT, *KNOWS_SANDBOX, *BASE, *(owner for owners in FENCES.values() for owner in owners)}
    assert named - known == set()


def test_importing_everything_does_nothing(tmp_path: Path) -> None:
    """With an empty environment every module can be imported; nothing is printed, opened or made."""
    names = [_name(path) for path in MODULES if path.name != "__main__.py"]
    code = f"import importlib\nfor name in {names!r}: importlib.import_module(name)"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "PATH": os.defpath},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert list(tmp_path.iterdir()) == []
