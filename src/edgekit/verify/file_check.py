"""Whether the files of a bundle are those that edgekit makes: compared byte by byte with the bundle made again."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from edgekit.bundle import CHANGED, Bundle, versions
from edgekit.errors import EdgekitError
from edgekit.files import read_bounded
from edgekit.plan import MANIFEST
from edgekit.progress import Note
from edgekit.scratch import is_full
from edgekit.verify.remake import Remade, remake

MADE_BY_MAKE = ("build", "build_ip", "build_ip.log", "build_bitstream", "build_bitstream.jou", "build_bitstream.log", "vitis_hls.log")
"""What the Makefile of an HLS project leaves in it."""
MADE_BY_PYTHON = "__pycache__"
"""What run.py and driver.py leave beside them."""
WALKED_MAX = 100_000
DIFFERS = "is not as edgekit makes it from the graph and the manifest"


@dataclass(frozen=True)
class FileCheck:
    """What was found of a bundle's files.

    `compared`: how many were made again and compared byte by byte. `findings`: file name -> how it differs from what edgekit makes, also
    what is missing, and what is there and was not made by it. `given`: what cannot be made again -> what is known of it.
    `aside`: what make or Python left there since, which was not looked at. `accepted`: whether the findings are the user's own changes.
    `remade`: the files that were made, by name.
    """

    compared: int = 0
    findings: Mapping[str, str] = field(default_factory=dict)
    given: Mapping[str, str] = field(default_factory=dict)
    aside: tuple[str, ...] = ()
    accepted: bool = False
    remade: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        return self.accepted or not self.findings


UNCHECKED = FileCheck()


def check_files(bundle: Bundle, *, accept_changes: bool = False, note: Note = lambda _: None) -> FileCheck:
    """Makes the bundle again and compares. A file whose hash is not the manifest's is a finding; then nothing is made, unless changes are
    accepted.

    Raises EdgekitError where changes are accepted and nothing can be made of what is there, or a disk is full.
    """
    strangers, aside = _strangers(bundle)
    changed = dict(bundle.changed)
    if changed and not accept_changes:
        return FileCheck(0, changed | strangers, {}, aside)
    try:
        remade = remake(bundle, note)
    except EdgekitError as error:
        if accept_changes or is_full(error):  # a full disk says nothing of the bundle
            raise
        return FileCheck(0, strangers | {MANIFEST: f"and what it lists do not make a bundle: {error}"}, {}, aside)
    findings = {**changed, **_differing(bundle, remade), **strangers}
    given = {name: why for name, why in remade.given.items() if name in bundle.manifest.files}
    return FileCheck(len(remade.files), findings, given, aside, accept_changes, remade.files)


def made_elsewhere(bundle: Bundle) -> str:
    """Versions of edgekit and of what it makes files with that are not those of here, for who wonders why files differ; or nothing."""
    here = versions()
    others = {name: then for name, then in bundle.manifest.versions.items() if here.get(name) not in (None, then)}
    if not others:
        return ""
    made, now = (", ".join(f"{name} {found[name]}" for name in others) for found in (others, here))
    return f"made with {made}; here are {now}"


def _differing(bundle: Bundle, remade: Remade) -> dict[str, str]:
    found = dict(remade.wrong)
    for name, content in remade.files.items():
        if name not in bundle.manifest.files:
            found[name] = "is missing, and not in the manifest"
        elif name not in bundle.changed and not _equal(bundle.folder / name, content):
            found[name] = DIFFERS
        elif bundle.changed.get(name) == CHANGED:
            equal = _equal(bundle.folder / name, content)
            found[name] = f"{CHANGED}, and is as edgekit makes it" if equal else f"{CHANGED}, and {DIFFERS}"
    known = {*remade.files, *remade.given}
    found |= {name: "is in the manifest, and edgekit makes no such file" for name in bundle.manifest.files if name not in known}
    return found


def _equal(path: Path, content: bytes) -> bool:
    try:
        return read_bounded(path, len(content)) == content
    except EdgekitError:  # it is larger
        return False


def _strangers(bundle: Bundle) -> tuple[dict[str, str], tuple[str, ...]]:
    """Files that are in the folder and not in the manifest; and what make or Python left there, by the name at the top."""
    known, strangers, aside = {MANIFEST, *bundle.manifest.files}, {}, set()
    for number, name in enumerate(_files_below(bundle.folder)):
        if number >= WALKED_MAX:
            strangers["..."] = f"the folder has more than {WALKED_MAX:,} files"
            break
        if name in known:
            continue
        top = name.split("/")[0]
        if top == MADE_BY_PYTHON or (bundle.manifest.kind == "hls" and top in MADE_BY_MAKE):
            aside.add(top)
        else:
            strangers[name] = "is not in the manifest"
    return strangers, tuple(sorted(aside))


def _files_below(folder: Path) -> Iterator[str]:
    """Names of all that is no folder, sorted within each folder; links are named and not followed."""
    for here, folders, files in os.walk(folder):
        folders.sort()
        links = [name for name in folders if (Path(here) / name).is_symlink()]
        for name in sorted((*files, *links)):
            yield (Path(here) / name).relative_to(folder).as_posix()
