# SPDX-License-Identifier: Apache-2.0
"""Completion scripts and manual pages say what --help says. Needs no privileges."""

import re
import shutil
import subprocess
import unittest

from harness import MEMCREST, memcrest, run

HELP = memcrest('--help').stdout
VERBS = re.findall(r'^  ([a-z]+) +\S', HELP.split('Subcommands:')[1], re.M)


def options_of(verb):
    return set(re.findall(r'(--[a-z][a-z0-9-]+)', re.sub(r'(?m)^(?!  -).*$', '', memcrest(verb, '--help').stdout))) - {'--version'}


class CompletionTest(unittest.TestCase):
    def bash(self, *words):
        script = memcrest('completion', 'bash').stdout
        line = ' '.join(f"'{word}'" for word in ('memcrest', *words))
        done = run('bash', '-c', f'{script}\nCOMP_WORDS=({line}); COMP_CWORD={len(words)}; _memcrest 2>/dev/null; printf "%s\\n" "${{COMPREPLY[@]}}"')
        return done.stdout.split()

    def test_bash_completes_verbs_and_all_options(self):
        self.assertEqual(self.bash('to'), ['top'])
        self.assertEqual(set(self.bash('')) & set(VERBS), set(VERBS))
        self.assertIn('agent', VERBS)
        for verb in VERBS:
            if verb in ('agent', 'version'):
                continue
            self.assertLessEqual(options_of(verb), set(self.bash(verb, '--')), verb)
        self.assertEqual(self.bash('watch', '--fail-on', ''), ['oom', 'burst'])
        self.assertIn('--listen', self.bash('agent', '--li'))

    def test_scripts_are_what_their_shells_read(self):
        for shell in ('bash', 'zsh', 'fish'):
            script = memcrest('completion', shell).stdout
            self.assertIn('top', script)
            self.assertIn('agent-token', script)
            if shutil.which(shell):
                run(shell, '-n', input=script)
        self.assertEqual(memcrest('completion', 'tcsh').returncode, 2)
        self.assertEqual(memcrest('completion').returncode, 2)

    def test_manual_pages(self):
        whole = memcrest('man').stdout
        for verb in VERBS:
            self.assertIn(f'memcrest\\-{verb}', whole)
            page = memcrest('man', verb).stdout
            self.assertTrue(page.startswith(f'.TH MEMCREST\\-{verb.upper()} 1'), page[:80])
            for option in options_of(verb):
                self.assertIn(option.replace('-', '\\-'), page, (verb, option))
            if shutil.which('groff'):
                done = subprocess.run(['groff', '-man', '-ww', '-Tutf8'], input=page, capture_output=True, text=True, check=True)
                self.assertEqual(done.stderr, '', verb)
        self.assertEqual(memcrest('man', 'nothing').returncode, 2)


if __name__ == '__main__':
    unittest.main()
