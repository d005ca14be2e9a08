# SPDX-License-Identifier: Apache-2.0
"""What the verdict says of kills whose cause is known: the quick part of the corpus (all of it: scripts/test-verdicts)."""

import harness
from verdict_corpus import confusion, detail, run_corpus


class VerdictTest(harness.TestCase):
    def test_short_corpus(self):
        outcomes = [o for o in run_corpus(short=True) if not o.skipped]
        told = detail(outcomes) + '\n\n' + confusion(outcomes)
        print('\n' + told)
        self.assertGreaterEqual(len(outcomes), 8, told)
        self.assertGreaterEqual(sum(o.right for o in outcomes), 0.8 * len(outcomes), told)
        self.assertEqual([o.scenario.name for o in outcomes if o.confidently_wrong], [], told)
        for outcome in outcomes:
            advice = outcome.incident['advice'] if outcome.incident else None
            if advice and advice['limit_guessed']:
                self.assertIsNone(advice['needed_bytes'], 'a guess is no need')
