"""Decompress .bz2 and .xz files to their very end, through all their members.

Such a file may be several compressed files one after the other. `bz2.BZ2File` and
`lzma.LZMAFile` stop in silence at bytes that are no member, Arrow (26) fails on a bzip2 member
without content, and `lzma.LZMAFile` fails on the padding that xz allows between members. Here a
file is read whole or refused.
"""

from __future__ import annotations

import bz2
import io
import lzma
from typing import Any

READ_BYTES = 256 * 1024
Decoder = bz2.BZ2Decompressor | lzma.LZMADecompressor


class MembersStream(io.RawIOBase):
    """The content of all members of a file.

    Raises EOFError for a file that ends inside a member, and lzma.LZMAError or OSError for
    anything that is not a member.
    """

    def __init__(self, source: Any, kind: str) -> None:
        self._source = source
        self._kind = kind
        self._decoder: Decoder | None = self._new_decoder()
        self._compressed = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        with memoryview(buffer).cast("B") as target:
            data = self._next(len(target))
            target[: len(data)] = data
            return len(data)

    def _new_decoder(self) -> Decoder:
        # Not lzma's automatic format: to that, zeros are an empty file of the kind before xz.
        return bz2.BZ2Decompressor() if self._kind == "bz2" else lzma.LZMADecompressor(lzma.FORMAT_XZ)

    def _next(self, limit: int) -> bytes:
        """Up to `limit` bytes of content, since one block of input may hold gigabytes of zeros."""
        data = b""
        while not data and (decoder := self._fed_decoder()) is not None:
            data, self._compressed = decoder.decompress(self._compressed, limit), b""
            if decoder.eof:
                self._compressed, self._decoder = decoder.unused_data, None
        return data

    def _fed_decoder(self) -> Decoder | None:
        """A decoder that can go on, with input if it needs some; None at the end of the file."""
        while self._decoder is None or (self._decoder.needs_input and not self._compressed):
            block = self._compressed or self._source.read(READ_BYTES)
            if not block:
                if self._decoder is None:
                    return None
                raise EOFError(f"the file ends inside a {self._kind} member")
            if self._decoder is None:
                # xz members may be followed by zero bytes (section 2.2 of its definition).
                block = block.lstrip(b"\0") if self._kind == "xz" else block
                self._decoder = self._new_decoder() if block else None
            self._compressed = block
        return self._decoder
