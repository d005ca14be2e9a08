# SPDX-License-Identifier: Apache-2.0
"""Ends by a signal that are no OOM: who sent it, told of real containers."""

import os
import shutil
import time

import harness
from harness import Watch, docker

setUpModule = harness.start_docker
tearDownModule = harness.stop_docker


class ExitsTest(harness.TestCase):
    @classmethod
    def setUpClass(cls):
        if os.geteuid() != 0:
            raise harness.unittest.SkipTest('needs root')

    def running(self, *command, options=(), memory='128m'):
        container, _ = docker.create(*command, memory=memory, options=options)
        self.remove_later(container)
        docker('start', container)
        pid = int(docker('inspect', '-f', '{{.State.Pid}}', container).stdout)
        time.sleep(0.5)  # it has grown what a shell grows
        return container, pid

    def told(self, watch, container, cause, match=None):
        incident = watch.wait_for('kill', container, match)
        causes = [one['cause'] for one in incident['verdict']['causes']]
        self.assertEqual(causes[0], cause, incident)
        self.assertGreaterEqual(incident['verdict']['causes'][0]['confidence'], 0.7)
        return incident

    def test_who_sent_it(self):
        with Watch('--containers-only') as watch:
            with self.subTest('docker stop, of a shell that passes nothing on'):
                container, pid = self.running('sh', '-c', 'trap "" TERM; while :; do sleep 1; done')
                docker('stop', '-t', '1', container)
                incident = self.told(watch, container, 'stopped-by-runtime')
                end = incident['end']
                self.assertEqual((end['signal'], end['pid'], end['main_process']), ('SIGKILL', pid, True))
                self.assertEqual(end['asked']['signal'], 'SIGTERM')
                for sender in (end['sender'], end['asked']['sender']):
                    self.assertEqual(sender['parents'][0]['comm'], 'containerd-shim', sender)
                self.assertTrue(900 < end['asked']['before_ms'] < 5000, end)
                self.assertIn('docker stop', incident['verdict']['text'])
                self.assertTrue(incident['usage_bytes'] is not None and incident['usage_bytes'] < 64 << 20, incident)
                self.assertEqual(incident['limit']['bytes'], 128 << 20)
            with self.subTest('docker kill'):
                container, _ = self.running('sleep', '60')
                docker('kill', container)
                self.assertIsNone(self.told(watch, container, 'stopped-by-runtime')['end']['asked'])
            with self.subTest('somebody on the host'):
                container, pid = self.running('sleep', '60')
                harness.run('bash', '-c', f'kill -9 {pid}; exit 0')
                end = self.told(watch, container, 'killed-from-host')['end']
                self.assertEqual((end['sender']['comm'], end['sender']['uid'], end['sender']['container_id']), ('bash', 0, None))
                self.assertEqual(end['sender']['parents'][0]['pid'], os.getpid(), end)
                again = watch.wait_for('kill', container, update='runtime_state')
                self.assertEqual((again['container']['state']['exit_code'], again['container']['state']['oom_killed']), (137, False))
            with self.subTest('by a command that is gone at once'):
                container, pid = self.running('sleep', '60')
                harness.run('bash', '-c', f'/bin/kill -9 {pid}; exit 0')
                sender = self.told(watch, container, 'killed-from-host')['end']['sender']
                self.assertEqual([sender['comm'], sender['parents'][0]['comm']], ['kill', 'bash'])
                self.assertEqual(sender['parents'][1]['pid'], os.getpid(), sender)
            with self.subTest('a killer of user space'):
                container, pid = self.running('sleep', '60')
                killer = os.path.join(self.scratch(), 'earlyoom')
                shutil.copy('/bin/bash', killer)
                harness.run(killer, '-c', f'kill -9 {pid}; exit 0')
                self.told(watch, container, 'early-oom-killer')
            with self.subTest('a killer of user space that asks, and a main process that handles it'):
                container, pid = self.running('sh', '-c', 'sleep 60 & wait; sleep 60')
                child = int(harness.read(f'/proc/{pid}/task/{pid}/children').split()[0])
                harness.run(killer, '-c', f'kill -TERM {child}; exit 0')
                incident = self.told(watch, container, 'early-oom-killer')
                self.assertEqual((incident['end']['signal'], incident['end']['pid'], incident['end']['main_process']), ('SIGTERM', child, False))
                container, pid = self.running('sh', '-c', 'trap "exit 3" TERM; while :; do sleep 0.1; done')
                harness.run(killer, '-c', f'kill -TERM {pid}; exit 0')
                incident = self.told(watch, container, 'early-oom-killer')
                self.assertEqual((incident['end']['signal'], incident['end']['pid'], incident['end']['main_process']), ('SIGTERM', pid, True))
                again = watch.wait_for('kill', container, update='runtime_state')
                self.assertEqual(again['container']['state']['exit_code'], 3)
            with self.subTest('a neighbour in the container'):
                container, pid = self.running('sh', '-c', 'sleep 60 & sleep 1; kill -9 $!; sleep 60')
                incident = self.told(watch, container, 'killed-within-container')
                self.assertFalse(incident['end']['main_process'])
                self.assertTrue(incident['end']['sender']['same_container'])
            with self.subTest('a crash'):
                container, _ = self.running('sh', '-c', 'sleep 1; kill -SEGV $$', options=('--pid', 'host'))
                incident = self.told(watch, container, 'crashed')
                self.assertEqual((incident['end']['signal'], incident['end']['sender']), ('SIGSEGV', None))

    def test_an_oom_is_no_kill_and_an_end_in_order_is_nothing(self):
        with Watch('--containers-only') as watch:
            container, _ = docker.create('hog', 'anon', '256m', memory='64m')
            self.remove_later(container)
            docker.start_and_wait(container)
            watch.wait_for('oom', container)
            polite, _ = self.running('sh', '-c', 'trap "exit 0" TERM; while :; do sleep 0.1; done')
            docker('stop', '-t', '20', polite)
            failed, _ = docker.create('sh', '-c', 'exit 137', memory='64m')
            self.remove_later(failed)
            docker.start_and_wait(failed)
            watch.settle(2)
            for quiet in (container, polite, failed):
                self.assertEqual(watch.incidents('kill', quiet), [])

    def test_text(self):
        with Watch('--containers-only', json_lines=False) as watch:
            container, _ = self.running('sh', '-c', 'trap "" TERM; while :; do sleep 1; done')
            docker('stop', '-t', '1', container)
            self.assertTrue(harness.wait_until(lambda: 'No OOM.' in watch.out.text()), watch.out.text())
            text = watch.out.text()
        for words in ('KILL', 'SIGKILL', 'sent by', 'asked', 'SIGTERM', 'main process: exit 137', 'stopped-by-runtime'):
            self.assertIn(words, text)
