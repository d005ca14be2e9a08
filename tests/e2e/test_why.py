# SPDX-License-Identifier: Apache-2.0
"""memcrest why: the newest incident of a container from a recording, a directory and the agent's spool."""

import json
import os

import harness
from harness import docker, memcrest, wait_until
from test_agent import Agent, oom_of
from test_record import Recorder, query

setUpModule = harness.start_docker
tearDownModule = harness.stop_docker


class WhyTest(harness.TestCase):
    def test_the_newest_of_one_container(self):
        kept, recordings = self.scratch(), os.path.join(self.scratch(), 'recordings')
        with Agent(kept) as agent, Recorder('--directory', recordings) as recorder:
            other, _ = oom_of(self)
            container, name = oom_of(self)
            self.assertTrue(wait_until(lambda: {i['container']['id'] for i in agent.incidents()} >= {container, other}))
            pid = next(i for i in agent.incidents() if i['container']['id'] == container)['victims'][0]['pid']
            from_agent = memcrest('why', name, '--from', kept)  # while the agent writes
            asked = memcrest('why', name, '--agent', f'http://127.0.0.1:{agent.port}', '--json')
            nobody_there = memcrest('why', 'nobody', '--agent', f'http://127.0.0.1:{agent.port}')
            self.assertEqual(agent.stop(), 0, agent.err.text())
            self.assertEqual(recorder.stop(), 0, recorder.out.text())
        recording, = (os.path.join(recordings, one) for one in os.listdir(recordings))
        kills = "SELECT count(DISTINCT id) FROM incidents WHERE kind = 'oom'"
        self.assertGreaterEqual(query(recording, kills)[0][0], 2)
        for source in (kept, recordings, recording):
            with self.subTest(source=source):
                done = memcrest('why', name, '--from', source)
                self.assertEqual(done.returncode, 0, done.stderr)
                for text in (name, 'why', 'docker update'):
                    self.assertIn(text, done.stdout)
                told = memcrest('why', container[:12], '--from', source, '--json')
                harness.validate(told.stdout)
                incident = json.loads(told.stdout)
                self.assertEqual((incident['container']['id'], incident['kind']), (container, 'oom'))
                self.assertTrue(incident['verdict']['causes'])
                by_process = json.loads(memcrest('why', str(pid), '--from', source, '--json').stdout)
                self.assertEqual(by_process['id'], incident['id'])
                newest = json.loads(memcrest('why', '--from', source, '--json').stdout)
                self.assertGreaterEqual(newest['time'], incident['time'])  # others may have theirs
                nobody = memcrest('why', 'nobody', '--from', source)
                self.assertEqual((nobody.returncode, nobody.stdout), (1, ''))
                self.assertIn('To catch the next one', nobody.stderr)
        self.assertEqual((asked.returncode, json.loads(asked.stdout)['container']['id']), (0, container), asked.stderr)
        self.assertTrue(json.loads(asked.stdout)['verdict']['causes'])
        self.assertEqual((nobody_there.returncode, nobody_there.stdout), (1, ''))
        self.assertIn('no incident of nobody in what the agent keeps', nobody_there.stderr)
        self.assertEqual(from_agent.returncode, 0, from_agent.stderr)
        self.assertIn(name, from_agent.stdout)

    def test_an_end_that_nobody_recorded(self):
        container, name = docker.create('sh', '-c', 'exit 137', memory='64m')
        self.remove_later(container)
        docker.start_and_wait(container)
        for target in (name, container, container[:12]):
            done = memcrest('why', target, '--from', self.scratch(), '--docker-socket', docker.socket)
            self.assertEqual(done.returncode, 1, done.stderr)
            for words in (f'docker says of {name} ({container[:12]}', 'exited · exit code 137 · OOMKilled false',
                          'Not always an OOM'):
                self.assertIn(words, done.stdout)
            self.assertIn('To catch the next one', done.stderr)
        for target in ('nobody', '../info', 'a?b', 'x' * 300):
            done = memcrest('why', target, '--from', self.scratch(), '--docker-socket', docker.socket)
            self.assertEqual((done.returncode, done.stdout), (1, ''), target)

    def test_exit_codes(self):
        for code, words in (('137', 'SIGKILL'), ('139', 'SIGSEGV'), ('134', 'SIGABRT'), ('143', 'SIGTERM'), ('0', '0')):
            done = memcrest('why', '--exit-code', code)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn(words, done.stdout)
        for wrong in ('256', '-1', 'x', ''):
            self.assertNotEqual(memcrest('why', '--exit-code', wrong).returncode, 0)

    def test_an_agent_that_is_none(self):
        for address, code in (('http://127.0.0.1:1', 1), ('unix:/nonexistent', 1), ('http://192.0.2.1:9464', 2), ('x y', 2)):
            done = memcrest('why', 'web', '--agent', address)
            self.assertEqual((done.returncode, done.stdout), (code, ''), done.stderr)
            self.assertIn('memcrest: ', done.stderr)
        self.assertEqual(memcrest('why', '--agent', '/a', '--from', '/b').returncode, 2)

    def test_what_holds_no_incident(self):
        for source in ('/nonexistent', '/dev/null', self.scratch(), harness.MEMCREST):
            done = memcrest('why', '--from', source)
            self.assertEqual(done.returncode, 1, source)
            self.assertIn('memcrest: ', done.stderr)
