"""The one decorator every kernel is compiled with.

`nogil` lets Dask's worker threads run kernels side by side; `cache` keeps the machine code on
disk so that only the first run on a machine compiles; `error_model="numpy"` drops Python's
division checks (no kernel divides by a value that can be zero). No `fastmath` and no
`parallel=True`: results are bit-exact and the scheduler owns the cores.

Numba notices when the file of a cached kernel changes, but not when a kernel it calls does: the
old machine code would go on giving old results. So the cache folder is named for the content of
all kernel files.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba.core import cgutils, config, types
from numba.extending import intrinsic, overload


def _cache_folder() -> str:
    sources = sorted(Path(__file__).parent.glob("*.py"))
    digest = hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()[:16]
    beside = Path(__file__).parent / "__pycache__"
    beside_or_home = beside if os.access(beside.parent, os.W_OK) else Path.home() / ".cache"
    home = config.CACHE_DIR or beside_or_home  # type: ignore[attr-defined]
    return str(Path(home) / f"dupaudit-{digest}")


config.CACHE_DIR = _cache_folder()  # type: ignore[attr-defined]


def kernel(function: Callable[..., Any]) -> Any:
    """Compile `function` on first call. The plain Python stays reachable as `.py_func`."""
    return numba.njit(cache=True, nogil=True, error_model="numpy")(function)


def load32(buffer: Any, at: int) -> Any:
    """Little-endian uint32 at byte `at` of a uint8 array; any alignment, no bounds check."""
    return np.uint32(int.from_bytes(bytes(buffer[at : at + 4]), "little"))


def load64(buffer: Any, at: int) -> Any:
    """Little-endian uint64 at byte `at` of a uint8 array; any alignment, no bounds check."""
    return np.uint64(int.from_bytes(bytes(buffer[at : at + 8]), "little"))


def _unaligned_load(result: types.Integer) -> Any:
    @intrinsic
    def load(typingctx: Any, buffer: Any, at: Any) -> Any:
        signature = result(buffer, types.intp)

        def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
            array = context.make_array(sig.args[0])(context, builder, args[0])
            address = cgutils.gep_inbounds(builder, array.data, args[1])
            word = builder.bitcast(address, context.get_value_type(result).as_pointer())
            return builder.load(word, align=1)

        return signature, codegen

    return load


_load32 = _unaligned_load(types.uint32)
_load64 = _unaligned_load(types.uint64)


# Compiled code does not slice: one machine load replaces the plain definitions above. Numba
# wants the two to agree down to the annotations.
@overload(load32, inline="always")
def _load32_compiled(buffer: Any, at: int) -> Any:
    def load(buffer: Any, at: int) -> Any:
        return _load32(buffer, at)

    return load


@overload(load64, inline="always")
def _load64_compiled(buffer: Any, at: int) -> Any:
    def load(buffer: Any, at: int) -> Any:
        return _load64(buffer, at)

    return load


def multiply61(a: Any, b: Any) -> Any:
    """a * b modulo 2**61 - 1, of numbers below it."""
    return np.uint64(int(a) * int(b) % ((1 << 61) - 1))


@intrinsic
def _multiply61(typingctx: Any, a: Any, b: Any) -> Any:
    # The modulus is a Mersenne prime: the remainder is the sum of the low 61 bits and of what is above.
    word, wide = ir.IntType(64), ir.IntType(128)
    modulus = ir.Constant(word, (1 << 61) - 1)

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        product = builder.mul(builder.zext(args[0], wide), builder.zext(args[1], wide))
        low = builder.and_(builder.trunc(product, word), modulus)
        high = builder.trunc(builder.lshr(product, ir.Constant(wide, 61)), word)
        total = builder.add(low, high)
        over = builder.icmp_unsigned(">=", total, modulus)
        return builder.select(over, builder.sub(total, modulus), total)

    return types.uint64(types.uint64, types.uint64), codegen


@overload(multiply61, inline="always")
def _multiply61_compiled(a: Any, b: Any) -> Any:
    def multiply(a: Any, b: Any) -> Any:
        return _multiply61(a, b)  # type: ignore[call-arg]  # numba fills in the context

    return multiply


def multiply_wide(a: Any, b: Any) -> Any:
    """a * b of uint64 as (low, high) halves of its 128 bits."""
    product = int(a) * int(b)
    return np.uint64(product & 0xFFFFFFFFFFFFFFFF), np.uint64(product >> 64)


@intrinsic
def _multiply_wide(typingctx: Any, a: Any, b: Any) -> Any:
    word, wide = ir.IntType(64), ir.IntType(128)
    pair = types.UniTuple(types.uint64, 2)

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        product = builder.mul(builder.zext(args[0], wide), builder.zext(args[1], wide))
        halves = [
            builder.trunc(product, word),
            builder.trunc(builder.lshr(product, ir.Constant(wide, 64)), word),
        ]
        return context.make_tuple(builder, pair, halves)

    return pair(types.uint64, types.uint64), codegen


@overload(multiply_wide, inline="always")
def _multiply_wide_compiled(a: Any, b: Any) -> Any:
    def multiply(a: Any, b: Any) -> Any:
        return _multiply_wide(a, b)  # type: ignore[call-arg]  # numba fills in the context

    return multiply
