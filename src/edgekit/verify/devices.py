"""The executors of `edgekit verify --on DEVICE`, and the runtimes of `edgekit evaluate --on DEVICE`."""

from __future__ import annotations

import json
from collections.abc import Sequence

from edgekit.bundle import RUN, Bundle
from edgekit.connections.address import session_on
from edgekit.connections.session import check_ran
from edgekit.errors import EdgekitError
from edgekit.executor import Executor
from edgekit.targets import EMULATED, LOCAL, emulator_for, find_device
from edgekit.tflite import KERNEL_SETS
from edgekit.tflite.device_executors import device_executor, run_script
from edgekit.tflite.kernel_sets import device_executor_name
from edgekit.verify.executors import emulated_names

ASK_SECONDS = 120


def executors_on(on: str, bundle: Bundle) -> tuple[list[str] | None, Sequence[Executor]]:
    """Names of known executors, None for those of this machine, and further ones, for `edgekit.verify.verify`.

    A device that is reached has one for each of the bundle's runtimes that its Python can import, and each kernel set.

    Raises EdgekitError: the device cannot be reached, or has no runtime.
    """
    if on == LOCAL:
        return None, ()
    title, packages = runtimes_on(on, bundle)
    if on == EMULATED:
        names = {device_executor_name(title, package, kernels) for package in packages for kernels in KERNEL_SETS}
        return [name for name in emulated_names(title) if name in names], ()
    target = find_device(bundle.manifest.target)
    return [], tuple(
        device_executor(device_executor_name(title, package, kernels), lambda: session_on(on, target), package, kernels)
        for package in packages
        for kernels in KERNEL_SETS
    )


def runtimes_on(on: str, bundle: Bundle) -> tuple[str, list[str]]:
    """The name of the device that `on` means, and the packages of the bundle's runtimes that its Python can import, best first.

    Raises EdgekitError: no bundle for a device, the device cannot be reached, or has no runtime.
    """
    if bundle.manifest.kind != "tflite":
        raise EdgekitError(f"{bundle.folder} is no bundle for a device; --on is for what 'edgekit export' wrote")
    target = find_device(bundle.manifest.target)
    if on == EMULATED:
        emulator = emulator_for(target.arch)
        if emulator is None:
            raise EdgekitError(f"there is no emulated device with {target.arch}, which {target.name} has")
        wanted = [title.split()[0] for title in bundle.manifest.runtimes] or [runtime.package for runtime in target.runtimes]
        there = {wheel.runtime.package for wheel in emulator.wheels}
        return emulator.device, [package for package in wanted if package in there]
    with session_on(on, target) as session:
        session.push({RUN: run_script()})
        finished = session.run([*session.python(""), RUN, "runtimes", "--json"], ASK_SECONDS)
        check_ran(finished, f"run.py on {session.title}")
        try:
            found = [str(one["name"]) for one in json.loads(finished.stdout)["runtimes"]]
        except (ValueError, KeyError, TypeError) as error:
            raise EdgekitError(f"run.py on {session.title} gave no list of runtimes: {error}") from error
        title = session.title
    allowed = {runtime.split()[0] for runtime in bundle.manifest.runtimes} or set(found)
    packages = [package for package in found if package in allowed]
    if not packages:
        has = f"it has {', '.join(found)}" if found else "it has none"
        raise EdgekitError(f"the Python of {title} has no runtime that this bundle is for ({', '.join(sorted(allowed))}); {has}")
    return title, packages
