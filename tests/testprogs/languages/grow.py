# SPDX-License-Identifier: Apache-2.0
"""As grow.cpp, by numpy."""
import sys
import time

import numpy


def load_batch(mib):
    return [numpy.full(1 << 17, 1.5) for _ in range(mib)]


kept = load_batch(int(sys.argv[1]))
time.sleep(0.3)
