# SPDX-License-Identifier: Apache-2.0
"""The agent's live page in real Chromium: real containers, bursts as they happen, the API's figures, keyboard, dark."""

import contextlib
import json
import os
import shutil
import subprocess
import time
import unittest

import harness
from harness import MIB, SOURCE, cgroups, docker, wait_until
from test_agent import Agent
from test_report import CHROMIUM, browser_packages, size

setUpModule = harness.start_docker
tearDownModule = harness.stop_docker


class Browser:
    """tests/browser/live.mjs, asked line by line."""

    def __init__(self, url, out):
        self.process = subprocess.Popen(['node', os.path.join(SOURCE, 'tests', 'browser', 'live.mjs'), browser_packages(), url, out],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
        self.process.stdout.close()

    def __call__(self, do, **more):
        self.process.stdin.write(json.dumps({'do': do, **more}) + '\n')
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        if 'error' in answer:
            raise AssertionError(f'{do} {more}: {answer["error"]}')
        return answer


@unittest.skipUnless(os.path.exists(CHROMIUM), 'needs chromium')
class LiveTest(harness.TestCase):
    def running(self, *command, **options):
        container, name = docker.create(*command, **options)
        self.remove_later(container)
        docker('start', container)
        return container, name

    def open(self, agent, pictures=None):
        out = pictures or os.environ.get('MEMCREST_SCREENSHOTS') or self.scratch()
        os.makedirs(out, exist_ok=True)
        return Browser(f'http://127.0.0.1:{agent.port}/', out)

    def test_a_burst_within_a_second_and_the_figures_of_the_api(self):
        marker = os.path.join(self.scratch(), 'go')
        container, name = self.running('sh', '-c', 'while [ ! -e /go/go ]; do sleep 0.05; done; hog anon 40m --hold 300; sleep 600',
                                       options=['-v', f'{os.path.dirname(marker)}:/go'])
        with Agent(self.scratch()) as agent, self.open(agent) as page:
            opened = page('open')
            self.assertIn("script-src 'self'", opened['policy'])
            self.assertNotIn('unsafe-inline', opened['policy'])
            before = page('row', name=name)
            self.assertLess(before['peak'], 20 * MIB)
            with open(marker, 'w', encoding='utf-8'):
                begun = time.time()
            burst = page('row', name=name, what='peak', least=39 * MIB)
            print(f'burst shown after {burst["at"] - begun:.2f} s, of which hog took its time', flush=True)
            self.assertLess(burst['at'] - begun, 10)  # a loaded machine; the figure is in docs/benchmarks.md
            # Others on this machine have their bursts, too: each stands there until the next one.
            page('wait', selector='.last a')
            self.assertTrue(wait_until(lambda: f'Burst · {name}' in page('text', selector='.last')['text'], pause=0.05))
            # figures: what the API says of the same container, while it rests
            def same():
                shown = page('row', name=name)
                told = next(row for row in json.loads(agent.get('/api/v1/containers')[1])['containers'] if row['container']['id'] == container)
                return shown['usage'] == told['usage_bytes'] and shown['cells'][3] == size(told['peak_bytes']) and shown['cells'][4] == '64.0 MiB'
            self.assertTrue(wait_until(same, timeout=15, pause=0.5))
            self.assertEqual(page('axe')['violations'], [])
            page('picture', name='containers')
            light = page('dark', on=False)['paper']
            self.assertNotEqual(page('dark', on=True)['paper'], light)
            self.assertEqual(page('axe')['violations'], [])
            page('picture', name='containers-dark')
            page('dark', on=False)
            # the keyboard alone: search, open, back
            page('press', keys=['/'])
            self.assertIn(f'q={name}', page('type', text=name)['url'])
            self.assertEqual(page('count', selector='.containers tbody tr')['count'], 1)
            page('press', keys=['Escape', 'j'])
            self.assertIn('container=', page('press', keys=['Enter'])['url'])
            page('wait', selector='.plot canvas')
            text = page('text', selector='main')['text']
            self.assertIn(name, text)
            self.assertIn('Who grew it', text)
            self.assertIn('hog[', text)
            self.assertIn('Its bursts', text)
            self.assertEqual(page('axe')['violations'], [])
            page('picture', name='container')
            self.assertNotIn('container=', page('press', keys=['Escape'])['url'])
            page('press', keys=['i'])
            page('wait', selector='table a')
            self.assertEqual(page('axe')['violations'], [])
            seen = page('seen')
            self.assertEqual(seen, {'requests': [], 'errors': []})

    def test_an_oom_its_story_and_its_files(self):
        container, name = self.running('sh', '-c', 'sleep 3; exec hog anon 128m --no-thp --rate 200')
        with Agent(self.scratch()) as agent, self.open(agent) as page:
            page('open')
            self.assertTrue(wait_until(lambda: any(i['container']['id'] == container and i['kind'] == 'oom' for i in agent.incidents())))
            oom = next(i for i in agent.incidents() if i['container']['id'] == container and i['kind'] == 'oom')
            page('open', path=f'?incident={oom["id"]}')
            text = page('wait', selector='article')['text']
            self.assertIn(name, text)
            self.assertIn('OOM kill', text)
            self.assertIn('64.0 MiB', text)
            self.assertEqual(page('axe')['violations'], [])
            page('picture', name='incident')
            page('dark', on=True)
            page('picture', name='incident-dark')
            markdown = page('download', button='Markdown')['path']
            self.assertIn(name, harness.read(markdown))
            page('open', path='?view=incidents')
            page('wait', selector='table a')
            self.assertIn(name, page('text', selector='main')['text'])
            page('picture', name='incidents')

    def test_comes_back_when_the_agent_does(self):
        directory = self.scratch()
        port = harness.free_port()
        _, name = self.running('hog', 'anon', '20m', '--hold', '600000')
        with Agent(directory, '--listen', f'127.0.0.1:{port}') as agent, self.open(agent) as page:
            page('open')
            page('row', name=name)
            agent.stop()
            page('wait', selector='html[data-state="lost"]')
            self.assertIn('connection lost', page('text', selector='.state')['text'])
            with Agent(directory, '--listen', f'127.0.0.1:{port}'):
                page('wait', selector='html[data-state="open"]')
                self.assertGreater(page('row', name=name)['usage'], 19 * MIB)

    def test_a_thousand_containers_and_a_flat_memory(self):
        parent = f'/memcrest-live-{os.getpid()}'
        with contextlib.ExitStack() as stack:
            stack.enter_context(cgroups.made(parent))
            stack.enter_context(cgroups.made(f'{parent}/docker'))
            for i in range(1000):
                stack.enter_context(cgroups.made(f'{parent}/docker/{i:064x}'))
            busy, name = self.running('sh', '-c', 'while :; do hog anon 30m; sleep 0.1; done')
            agent = stack.enter_context(Agent(self.scratch()))
            page = stack.enter_context(self.open(agent))
            page('open', path='?sort=use')
            self.assertTrue(wait_until(lambda: int(page('text', selector='.finder output')['text'].split()[0].replace(',', '')) > 1000))
            page('row', name=name, what='peak', least=25 * MIB)
            self.assertLess(page('count', selector='.containers tbody tr')['count'], 100)
            page('frames', seconds=5)
            first = page('heap')
            frames = page('frames', seconds=float(os.environ.get('MEMCREST_SOAK_SECONDS', '20')))
            last = page('heap')
            print(f'1,000 containers: {frames}, heap {first["JSHeapUsedSize"] / MIB:.1f} -> {last["JSHeapUsedSize"] / MIB:.1f} MiB', flush=True)
            self.assertLess(last['JSHeapUsedSize'], first['JSHeapUsedSize'] + 4 * MIB)
            self.assertLess(last['Nodes'], first['Nodes'] * 1.5 + 500)
            page('picture', name='thousand')
            docker('rm', '-f', busy)

    def test_with_a_token(self):
        directory = self.scratch()
        token = os.path.join(directory, 'token')
        with open(token, 'w', encoding='utf-8') as file:
            file.write('a-token-of-the-test\n')
        os.chmod(token, 0o600)
        with Agent(directory, '--token-file', token) as agent:
            for path in ('/', '/live.js', '/live.css'):
                self.assertEqual(agent.get(path)[0], 200, path)
            for path in ('/api/v1/usage', '/api/v1/usage/1', '/api/v1/events?usage=1', '/live.html', '/live.js/x'):
                self.assertEqual(agent.get(path)[0], 401, path)
            self.assertEqual(agent.get('/api/v1/usage', {'Authorization': 'Bearer a-token-of-the-test'})[0], 200)

    def test_the_usage_api_refuses_what_is_wrong(self):
        with Agent(self.scratch()) as agent:
            for path, status in (('/api/v1/usage?since=x', 400), ('/api/v1/usage?since=-1', 400), ('/api/v1/usage/x', 404), ('/api/v1/usage/1', 404), ('/api/v1/usagex', 404),
                                 ('/api/v1/usage/', 404), ('/api/v1/usage?since=18446744073709551615', 200)):
                self.assertEqual(agent.get(path)[0], status, path)
            head = json.loads(agent.get('/api/v1/usage')[1].splitlines()[0])
            self.assertEqual(head['schema'], 'memcrest.usage.v1')


if __name__ == '__main__':
    harness.main()
