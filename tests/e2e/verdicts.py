# SPDX-License-Identifier: Apache-2.0
"""What scripts/test-verdicts runs."""

import argparse
import json
import sys

from verdict_corpus import SURE, confusion, detail, run_corpus


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--short', action='store_true')
    parser.add_argument('--json', help='write the incidents to this file')
    parser.add_argument('names', nargs='*')
    chosen = parser.parse_args()
    outcomes = run_corpus(chosen.short, chosen.names)
    if chosen.json:
        with open(chosen.json, 'w', encoding='utf-8') as file:
            for outcome in outcomes:
                if outcome.incident:
                    json.dump({'scenario': outcome.scenario.name, **outcome.incident}, file)
                    file.write('\n')
    print(detail(outcomes), confusion(outcomes), sep='\n\n')
    ran = [o for o in outcomes if not o.skipped]
    enough = sum(o.right for o in ran) >= 0.9 * len(ran)
    return 0 if ran and enough and not any(o.confidently_wrong for o in ran) else 1


if __name__ == '__main__':
    sys.exit(main())
