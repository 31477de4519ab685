"""How this process asks the system for memory, and when it gives it back."""

from __future__ import annotations

import ctypes
import fcntl
import gc
import os
import resource

# <malloc.h> of the GNU C library.
M_TRIM_THRESHOLD = -1
M_MMAP_THRESHOLD = -3

KEPT_BYTES = 64 << 20
LARGEST_IN_HEAP = 32 << 20  # the most that glibc accepts

# Collections are rare and look at little: sessions and messages form no cycles to speak of. The first two figures multiplied are how
# many objects the second generation has at most; when all of them stay, as when clients come by the thousand, it takes 250 ns for each.
GC_THRESHOLDS = (5_000, 4, 500)

# Below this a busy server runs out: every client takes a descriptor, and so does every delivery.
ENOUGH_DESCRIPTORS = 4096

# More clients than that at a time are rare, and the kernel's table for so many takes 300 KB.
TABLE_OF_DESCRIPTORS = 1 << 15


def raise_descriptor_limit() -> int:
    """Let this process open as many files as it may; how many that is."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    files = descriptors()
    _make_table(min(files, TABLE_OF_DESCRIPTORS))
    return files


def _make_table(size: int) -> None:
    """Let the kernel's table of our files be as large as it will be.

    It doubles whenever it is full, and in a process with threads that waits for all processors to pass a point of rest: 5 to
    20 ms each time, in which nobody is served just when clients come by the thousand.
    """
    null = os.open(os.devnull, os.O_RDONLY)
    try:
        os.close(fcntl.fcntl(null, fcntl.F_DUPFD_CLOEXEC, size - 1))
    except OSError:
        pass  # the place is taken: the table is as large already
    finally:
        os.close(null)


def descriptors() -> int:
    """How many files this process may have open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 1 << 20 if soft == resource.RLIM_INFINITY else soft


def rare_collections() -> None:
    """Call before anything is loaded: most of what is made then stays, so there is little to collect."""
    gc.set_threshold(*GC_THRESHOLDS)


def settle() -> None:
    """Call once when everything is loaded. Harmless where the C library has no mallopt."""
    _keep_freed_memory()
    keep_loaded()
    rare_collections()


def keep_loaded() -> None:
    """Call when something was loaded that stays: collections need not look at it.

    Nothing is collected before: of 50 000 objects 300 are garbage then, and to find them takes 30 ms.
    """
    gc.freeze()


def _keep_freed_memory() -> None:
    """Keep up to 64 MB of freed memory instead of giving it back after every large message.

    By default the heap shrinks and grows again with each one, and every page is faulted in anew: 1300 faults and up to
    20 ms of system time for 5 MB, where receiving it takes 8 ms.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except AttributeError:
        return
    mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)
    mallopt(M_MMAP_THRESHOLD, LARGEST_IN_HEAP)


def resident() -> int:
    """How many bytes of memory this process has at the moment; 0 where the system does not say."""
    try:
        with open("/proc/self/statm", "rb", buffering=0) as file:
            return int(file.read(64).split()[1]) * resource.getpagesize()
    except OSError:
        return 0
