# SPDX-License-Identifier: Apache-2.0
"""Programs that use memory the way services do, for the verdict's corpus: work.py MODE NAME=VALUE...

What a mode is an example of is not told here but in tests/e2e/verdict_corpus.py. Sizes in MiB, times in seconds.
"""

import ctypes
import ctypes.util
import mmap
import os
import random
import socket
import sys
import threading
import time

MIB = 1 << 20
libc = ctypes.CDLL(ctypes.util.find_library('c') or 'libc.so.6', use_errno=True)


def block(mib):
    return bytearray(b'x') * int(mib * MIB)


def forever():
    while True:
        time.sleep(60)


def spike(before=8, base=8, size=200, **_):
    """Quiet for a while, then one large request."""
    kept = block(base)
    time.sleep(before)
    return kept, block(size)


def requests(pause=0.05, work=8, keep=0.0, cap=1e9, spike_after=1e9, size=200, **_):
    """Requests that come and go; `keep` of each stays behind, up to `cap` in all; perhaps a large one at last."""
    kept, begun = [], time.monotonic()
    while time.monotonic() - begun < spike_after:
        used = block(work * random.uniform(0.5, 1.5))
        if keep and len(kept) * keep < cap:
            kept.append(block(keep))
        del used
        time.sleep(pause)
    return kept, block(size)


def hoard(step=0.25, pause=0.03, **_):
    """Keeps what it makes, and makes nothing else."""
    kept = []
    while True:
        kept.append(block(step))
        time.sleep(pause)


def cache(keys=400, each=0.4, pause=0.01, work=2, **_):
    """A cache without a bound over a domain with one: it fills the slower the fuller it is."""
    kept = {}
    while True:
        key = random.randrange(int(keys))
        if key not in kept:
            kept[key] = block(each)
        used = block(work)
        del used
        time.sleep(pause)


def warm(size=80, over=4, then=0.2, pause=0.1, **_):
    """Loads for some seconds, then needs only a little more at a time."""
    kept = []
    for _ in range(100):
        kept.append(block(size / 100))
        time.sleep(over / 100)
    while True:
        kept.append(block(then))
        time.sleep(pause)


def pool(workers=12, each=16, before=2, **_):
    """Workers of one size, none of them large."""
    for number in range(int(workers)):
        if os.fork() == 0:
            time.sleep(before + number * 0.1)
            kept = block(each)
            forever()
            del kept
    forever()


def lock_file(path='', size=200, before=3, **_):
    """A file's pages, locked: they are page cache, and cannot be dropped."""
    time.sleep(before)
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    os.ftruncate(fd, int(size) * MIB)
    mapped = mmap.mmap(fd, int(size) * MIB)
    address = ctypes.addressof(ctypes.c_char.from_buffer(mapped))
    for at in range(0, int(size) * MIB, MIB):
        if libc.mlock(ctypes.c_void_p(address + at), ctypes.c_size_t(MIB)) != 0:
            raise OSError(ctypes.get_errno(), 'mlock')
        time.sleep(0.005)
    forever()


def segment(size=200, rate=100, **_):
    """A System V segment, filled."""
    number = libc.shmget(0, ctypes.c_size_t(int(size) * MIB), 0o1600)
    libc.shmat.restype = ctypes.c_void_p
    at = libc.shmat(number, None, 0)
    libc.shmctl(number, 0, None)  # it goes with its last user
    for piece in range(int(size)):
        ctypes.memset(at + piece * MIB, 1, MIB)
        time.sleep(1 / rate)
    forever()


def anonymous_shared(size=200, rate=100, **_):
    """Shared anonymous memory, as fork servers use it."""
    mapped = mmap.mmap(-1, int(size) * MIB)
    for at in range(int(size)):
        mapped[at * MIB:(at + 1) * MIB] = b'x' * MIB
        time.sleep(1 / rate)
    forever()


def sockets(size=200, **_):
    """Messages in local sockets that nobody reads."""
    kept = []
    for _ in range(int(size * 5)):
        pair = socket.socketpair()
        pair[0].setblocking(False)
        pair[0].setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, MIB)
        kept.append(pair)
        try:
            while True:
                pair[0].send(b'x' * 32768)
        except BlockingIOError:
            pass
    forever()


def directories(path='', count=1000000, **_):
    """Inodes and their names."""
    for number in range(int(count)):
        os.mkdir(f'{path}/{number}')
    forever()


def threads(count=8000, **_):
    """Threads that sleep: their stacks in the kernel."""
    threading.stack_size(32768)
    for _ in range(int(count)):
        threading.Thread(target=forever, daemon=True).start()
    forever()


def fill(path='', size=100, rate=50, **_):
    """Writes a file and ends."""
    with open(path, 'wb', buffering=0) as file:
        for _ in range(int(size)):
            file.write(b'x' * MIB)
            time.sleep(1 / rate)


def array(before=8, size=200, **_):
    """numpy: one result of a large calculation."""
    import numpy
    small = numpy.ones(MIB)
    time.sleep(before)
    return numpy.outer(small[:1024], small[:int(size) * 128])


def main():
    values = dict(word.split('=', 1) for word in sys.argv[2:])
    kept = globals()[sys.argv[1]](**{k: v if k == 'path' else float(v) for k, v in values.items()})
    time.sleep(1)
    return kept


if __name__ == '__main__':
    main()
