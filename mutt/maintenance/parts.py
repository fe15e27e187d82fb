"""The files of an archive: lines of JSON, compressed, in parts of a size that can be handled."""

import gzip
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import msgspec

PART_BYTES = 256 << 20
"""A part holds about so much NDJSON before it is compressed: it can be looked at and copied by itself."""

CHUNK_BYTES = 1 << 20

COMPRESSION = 5
"""Of gzip: 9 takes three times as long for three percent less."""


class PartFile(msgspec.Struct, frozen=True):
    """One file of an archive. ``sha256`` is that of the file as it lies there; ``unpacked_bytes`` that of its lines."""

    name: str
    rows: int
    bytes: int
    unpacked_bytes: int
    sha256: str


class Parts:
    """A file to write lines to, which cuts them into compressed parts. ``told`` hears of the rows as they pass."""

    def __init__(self, folder: Path, told: Callable[[int], None], part_bytes: int = PART_BYTES) -> None:
        self.files: list[PartFile] = []
        self._folder = folder
        self._told = told
        self._part_bytes = part_bytes
        self._chunk_bytes = min(CHUNK_BYTES, part_bytes)
        self._buffer = bytearray()
        self._part: _Part | None = None

    def write(self, data: bytes) -> int:
        self._buffer += data
        if len(self._buffer) >= self._chunk_bytes:
            self._pass_on(self._buffer.rfind(b"\n") + 1)
        return len(data)

    def finish(self) -> None:
        """Writes what is left; every part is on the disk afterwards."""
        self._pass_on(len(self._buffer))
        self._end_part()

    def abandon(self) -> None:
        if self._part:
            self._part.close()

    def _pass_on(self, length: int) -> None:
        """Gives the buffer's first bytes, whole lines, to the part that is being written."""
        if not length:
            return
        self._part = self._part or _Part(self._folder / f"part-{len(self.files) + 1:05d}.ndjson.gz")
        lines = bytes(self._buffer[:length])
        del self._buffer[:length]
        self._told(self._part.write(lines))
        if self._part.unpacked_bytes >= self._part_bytes:
            self._end_part()

    def _end_part(self) -> None:
        if self._part:
            self.files.append(self._part.finish())
            self._part = None


class _Part:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows = self.unpacked_bytes = 0
        self._file = _Hashed(path.open("wb"))
        # Neither name nor time in the header: the same rows make the same file.
        self._gzip = gzip.GzipFile("", "wb", COMPRESSION, self._file, mtime=0)

    def write(self, lines: bytes) -> int:
        rows = lines.count(b"\n")
        self._gzip.write(lines)
        self.rows += rows
        self.unpacked_bytes += len(lines)
        return rows

    def finish(self) -> PartFile:
        self._gzip.close()
        written = self._file.bytes
        self._file.file.flush()
        os.fsync(self._file.file.fileno())
        self._file.file.close()
        return PartFile(self.path.name, self.rows, written, self.unpacked_bytes, self._file.sha256.hexdigest())

    def close(self) -> None:
        self._file.file.close()


class _Hashed:
    """A file that knows the checksum of what went through it."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.sha256 = hashlib.sha256()
        self.bytes = 0

    def write(self, data: bytes) -> int:
        self._note(data)
        return self.file.write(data)

    def read(self, size: int = -1) -> bytes:
        data = self.file.read(size)
        self._note(data)
        return data

    def flush(self) -> None:
        self.file.flush()

    def _note(self, data: bytes) -> None:
        self.sha256.update(data)
        self.bytes += len(data)


def read_back(path: Path) -> PartFile:
    """What a part is when it is read from the disk. Raises OSError, EOFError or zlib.error."""
    rows = unpacked = 0
    with path.open("rb") as raw:
        file = _Hashed(raw)
        with gzip.GzipFile(fileobj=file, mode="rb") as lines:
            while chunk := lines.read(CHUNK_BYTES):
                rows += chunk.count(b"\n")
                unpacked += len(chunk)
    return PartFile(path.name, rows, file.bytes, unpacked, file.sha256.hexdigest())
