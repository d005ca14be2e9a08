# SPDX-License-Identifier: Apache-2.0
"""scripts/load and scripts/soak in their short form. The figures are those of a debug build on a busy machine: what is
judged here is that nothing is lost and nothing grows; the scripts judge the budgets."""

import os
import unittest

import harness
from harness import SOURCE, run

BUILD = {**os.environ, 'MEMCREST_BUILD': harness.BUILD}


class LoadTest(harness.TestCase):
    def test_no_kill_is_missed_under_load(self):
        done = run(os.path.join(SOURCE, 'scripts', 'load'), '--minutes', '0.4', '--every', '6', '--cgroups', '300', '--steps',
                   '600', '--rate', '50', '--memory', '128', '--scrape-ms', '20000', check=False, timeout=300, env=BUILD)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn(', 0 not told', done.stdout)

    def test_nothing_grows(self):
        done = run(os.path.join(SOURCE, 'scripts', 'soak'), '--minutes', '0.6', '--every', '2', '--memory', '128',
                   '--scrape-ms', '20000', '--growth-mib', '8', check=False, timeout=300, env=BUILD)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn('second half', done.stdout)

    def test_the_judge_judges(self):
        done = run(os.path.join(SOURCE, 'scripts', 'load'), '--minutes', '0.1', '--every', '3', '--cgroups', '10', '--steps',
                   '100', '--memory', '1', '--scrape-ms', '0', check=False, timeout=300, env=BUILD)
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertIn('WRONG: memory of its own of', done.stdout)


if __name__ == '__main__':
    unittest.main()
