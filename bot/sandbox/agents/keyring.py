"""Made-up RSA keys for simulated agents: they guard nothing and are the same in every installation.

They are shipped because keys of 512 bits, which agents before 4.4.2.0 use, can no longer be made by the
cryptography package.
"""

from functools import cache
from importlib.resources import files

from bot.obshell.envelope import PrivateKey


@cache
def demo_keys(bits: int) -> tuple[PrivateKey, ...]:
    """Return all keys of that size, 512 or 1024 bits; empty for any other."""
    folder = files("bot.sandbox.agents").joinpath("keys")
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.startswith(f"rsa-{bits}-"))
    return tuple(PrivateKey.from_pem(folder.joinpath(name).read_bytes()) for name in names)
