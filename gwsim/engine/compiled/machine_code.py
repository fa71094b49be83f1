"""The kernels as machine code: from the cache, else compiled. The compiler is imported only for that.

A file holds a hash, the names of the functions of the C library that the kernel calls, and its object code. It is for one
processor, and for one state of the engine's sources (`cache.source_hash` is part of the folder's name).
"""

from __future__ import annotations

import ctypes
import hashlib
import math
import os
import threading
from collections.abc import Callable
from typing import Any

import llvmlite.binding as llvm

from gwsim.engine.cache import cache_directory, code_file, is_warm
from gwsim.files import write_whole

SYMBOL = "gwsim_kernel"
"""Name of a kernel in its object code: a C function of the address of a world's table and a number of events."""
DIGEST = hashlib.sha256().digest_size
_PROTOTYPE = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p, ctypes.c_int64)
"""Called without the lock of the interpreter."""
_loaded: dict[str, Callable[[int, int], int]] = {}
_kept: list[Any] = []
_lock = threading.Lock()


def kernel(name: str) -> Callable[[int, int], int]:
    """The kernel of this name, ready to be called."""
    with _lock:
        if name not in _loaded:
            _loaded[name] = _link(read(name) or _compile(name))
        return _loaded[name]


def is_ready(name: str) -> bool:
    """Whether a kernel need not be compiled."""
    return name in _loaded or is_warm(name)


def read(name: str) -> bytes:
    """The content of a kernel's file; empty if it is not there, or not whole."""
    try:
        content = code_file(name).read_bytes()
    except OSError:
        return b""
    return content[DIGEST:] if hashlib.sha256(content[DIGEST:]).digest() == content[:DIGEST] else b""


def _compile(name: str) -> bytes:
    from gwsim.engine.compiled import compiler, loop

    imports, code = compiler.object_code(loop.advance.function, name)
    content = " ".join(imports).encode() + b"\n" + code
    if cache_directory() is not None:
        write_whole(code_file(name), hashlib.sha256(content).digest() + content)
    return content


def _link(content: bytes) -> Callable[[int, int], int]:
    """Object code as a function: LLVM puts it into memory; what it calls of the C library is what Python itself calls."""
    imports, _, code = content.partition(b"\n")
    library = ctypes.CDLL("ucrtbase" if os.name == "nt" else getattr(math, "__file__", None))
    for symbol in imports.decode().split():
        llvm.add_symbol(symbol, ctypes.cast(library[symbol], ctypes.c_void_p).value)
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    machine = llvm.Target.from_default_triple().create_target_machine(jit=True)
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)
    engine.add_object_file(llvm.ObjectFileRef.from_data(code))
    engine.finalize_object()
    _kept.append(engine)
    return _PROTOTYPE(engine.get_function_address(SYMBOL))
