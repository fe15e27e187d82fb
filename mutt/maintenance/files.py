"""Archives on disk: each a folder with compressed NDJSON in parts, and a manifest that is there when all of it is.

An archive is written in a folder whose name starts with a dot and renamed once everything in it is on the disk and
was read back. So a folder under its final name is a whole archive, and what an interrupted run leaves is told apart.
"""

import gzip
import os
import shutil
import zlib
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

import msgspec

from mutt import __version__
from mutt.maintenance.parts import PART_BYTES, PartFile, Parts, read_back
from mutt.maintenance.session import UpkeepError
from mutt.store.partitions import Column

MANIFEST = "manifest.json"
UNFINISHED = "."


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What an archive holds. ``source`` tells apart archives of one name: the oid of the table, or a digest."""

    format: int = 1
    table: str
    name: str
    source: str
    columns: list[Column]
    lower: datetime
    upper: datetime
    rows: int
    files: list[PartFile]
    schema_version: int
    mutt_version: str = __version__
    created: datetime


class Archive(msgspec.Struct, frozen=True):
    """A whole archive and where it lies."""

    folder: Path
    manifest: Manifest

    @property
    def name(self) -> str:
        return self.folder.name


def write_archive(
    folder: Path,
    fill: Callable[[Parts], None],
    describe: Callable[[list[PartFile]], Manifest],
    told: Callable[[int], None],
    part_bytes: int = PART_BYTES,
) -> Archive:
    """The archive with what ``fill`` writes, under its final name. Raises UpkeepError, and then nothing is there."""
    unfinished = folder.with_name(UNFINISHED + folder.name)
    try:
        shutil.rmtree(unfinished, ignore_errors=True)
        _make_folder(unfinished)
        parts = Parts(unfinished, told, part_bytes)
        try:
            fill(parts)
            parts.finish()
        finally:
            parts.abandon()
        manifest = describe(parts.files)
        _write_synced(unfinished / MANIFEST, msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n")
        _sync_folder(unfinished)
        verify(Archive(unfinished, manifest))
        unfinished.rename(folder)
        _sync_folder(folder.parent)
    except OSError as error:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise UpkeepError(f"the archive {folder} cannot be written: {error}") from error
    return Archive(folder, manifest)


def verify(archive: Archive) -> None:
    """Returns when every file reads back as the manifest says. Raises UpkeepError naming the first that does not."""
    for part in archive.manifest.files:
        path = archive.folder / part.name
        try:
            found = read_back(path)
        except (OSError, EOFError, zlib.error) as error:
            raise UpkeepError(f"{path} cannot be read back: {error}") from error
        if found != part:
            raise UpkeepError(f"{path} is not what its manifest says: {found} instead of {part}")
    rows = sum(part.rows for part in archive.manifest.files)
    if rows != archive.manifest.rows:
        raise UpkeepError(f"{archive.folder}: {rows} rows in its files, {archive.manifest.rows} in its manifest")


def archives(root: Path, table: str | None = None) -> list[Archive]:
    """The whole archives below the folder, of one table or of all, in order of table and name."""
    found = root.glob(f"{table or '*'}/[!.]*/{MANIFEST}")
    return [Archive(file.parent, _read_manifest(file)) for file in sorted(found)]


def find(root: Path, name: str) -> Archive:
    """The archive of that name, or in that folder. Raises UpkeepError when there is none."""
    folders = [Path(name), *root.glob(f"*/{name}")] if "/" in name else [*root.glob(f"*/{name}"), Path(name)]
    for folder in folders:
        if (folder / MANIFEST).is_file() and not folder.name.startswith(UNFINISHED):
            return Archive(folder, _read_manifest(folder / MANIFEST))
    raise UpkeepError(f"there is no archive {name} in {root}; `mutt-admin upkeep archive --list` shows those there are")


def opened(archive: Archive, told: Callable[[int], None]) -> Iterator[BinaryIO]:
    """The lines of the archive, file after file. ``told`` hears of the rows of each once it was read."""
    for part in archive.manifest.files:
        with gzip.open(archive.folder / part.name, "rb") as lines:
            yield lines  # type: ignore[misc] # a GzipFile is one in all that matters
        told(part.rows)


def free_folder(root: Path, table: str, name: str) -> Path:
    """Where the next archive of this name goes: a month may be archived again when late rows have come for it."""
    numbers = [int(folder.suffix[1:]) for folder in (root / table).glob(f"{name}.*") if folder.suffix[1:].isdecimal()]
    return root / table / f"{name}.{max(numbers, default=0) + 1}"


def remove(archive: Archive) -> None:
    """Removes an archive; interrupted, it leaves none that looks whole. Raises UpkeepError."""
    doomed = archive.folder.with_name(UNFINISHED + archive.folder.name)
    try:
        shutil.rmtree(doomed, ignore_errors=True)
        archive.folder.rename(doomed)
        shutil.rmtree(doomed)
    except OSError as error:
        raise UpkeepError(f"the archive {archive.folder} cannot be removed: {error}") from error


def clear_unfinished(root: Path) -> None:
    """Removes what interrupted runs have left."""
    for folder in root.glob(f"*/{UNFINISHED}*"):
        shutil.rmtree(folder, ignore_errors=True)


def _read_manifest(file: Path) -> Manifest:
    try:
        return msgspec.json.decode(file.read_bytes(), type=Manifest)
    except (OSError, msgspec.MsgspecError) as error:
        raise UpkeepError(f"{file} cannot be read: {error}") from error


def _make_folder(folder: Path) -> None:
    """Makes a folder, those above it too, so that a power cut does not take it away again."""
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    folder.mkdir(mode=0o750, parents=True)
    for each in missing:
        _sync_folder(each.parent)


def _write_synced(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
