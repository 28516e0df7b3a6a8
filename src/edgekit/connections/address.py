"""What `--on` takes, and the session that it means: local | emulated | ssh://user@host[:port] | adb[:serial]."""

from __future__ import annotations

import re
from contextlib import AbstractContextManager

from edgekit.connections.adb import adb_session
from edgekit.connections.folder import emulated_session, local_session
from edgekit.connections.session import Session
from edgekit.connections.ssh import SshAddress, ssh_session
from edgekit.errors import EdgekitError
from edgekit.targets import EMULATED, LOCAL, Device, emulator_for

SSH_ADDRESS = re.compile(
    r"ssh://(?:(?P<user>[A-Za-z_][A-Za-z0-9_.-]{0,63})@)?(?P<host>[A-Za-z0-9][A-Za-z0-9.-]{0,252})(?::(?P<port>[0-9]{1,5}))?/?"
)
ADB_ADDRESS = re.compile(r"adb(?::(?P<serial>[A-Za-z0-9][A-Za-z0-9.:_-]{0,127}))?")


def ssh_address(text: str) -> SshAddress | None:
    """The parts of an ssh address, or None. No part can be taken for an option: none begins with '-'."""
    found = SSH_ADDRESS.fullmatch(text)
    if found is None:
        return None
    port = None if found["port"] is None else int(found["port"])
    return SshAddress(found["host"], found["user"], port) if port is None or 0 < port < 1 << 16 else None


def session_on(on: str, target: Device) -> AbstractContextManager[Session]:
    """A session with the device that `on` names, for a bundle that was made for `target`.

    Raises EdgekitError for an address that is none, and, on entering, where the device cannot be reached.
    """
    if on == LOCAL:
        return local_session()
    if on == EMULATED:
        emulator = emulator_for(target.arch)
        if emulator is None:
            raise EdgekitError(f"there is no emulated device with {target.arch}, which {target.name} has; use --on local")
        return emulated_session(emulator)
    address = ssh_address(on)
    if address is not None:
        return ssh_session(address)
    found = ADB_ADDRESS.fullmatch(on)
    if found is not None:
        return adb_session(found["serial"])
    raise EdgekitError(f"--on {on!r} names no device; it takes local, emulated, ssh://user@host[:port], adb or adb:serial")
