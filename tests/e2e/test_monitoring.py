# SPDX-License-Identifier: Apache-2.0
"""deploy/prometheus and deploy/grafana against a real agent: each query of the dashboard and each rule finds its data in
a real Prometheus after real OOMs, alerts reach a real Alertmanager and what stands behind it, exemplars name incidents."""

import json
import os
import re
import shutil

import harness
import yaml
from harness import docker, memcrest, read, run, wait_until
from monitoring import DASHBOARD, PROMETHEUS_FILES, Alertmanager, Dashboard, Prometheus
from peers import peers
from test_agent import Agent
from test_receivers import Receiver

RULES = os.path.join(PROMETHEUS_FILES, 'rules.yml')
# What has no data here, and why: selectors of rules, variables of the dashboard.
NO_DATA = {'memcrest_ooms_total{scope="host"}': 'a test never exhausts the memory of the machine that it runs on',
           'namespace': 'no Kubernetes: the label is empty, and "All" stands for that, too', 'pod': 'as namespace'}
SELECTOR = re.compile(r'\b((?:memcrest[_:]|process_|up\b)[\w:]*(?:\{[^}]*\})?)')

setUpModule = harness.start_docker
tearDownModule = harness.stop_docker


def known_metrics():
    listed = memcrest('agent', '--list-metrics').stdout
    names = set(re.findall(r'^\| `(\w+)`', listed, re.M))
    return names | {name + end for name in names for end in ('_bucket', '_sum', '_count')} | {'up'}


def all_rules():
    return [rule for group in yaml.safe_load(read(RULES))['groups'] for rule in group['rules']]


class FilesTest(harness.TestCase):
    def test_promtool_finds_the_rules_right_and_their_tests_pass(self):
        run('promtool', 'check', 'rules', RULES)
        run('promtool', 'test', 'rules', 'rules_test.yml', cwd=PROMETHEUS_FILES)
        tested = {test['alertname'] for group in yaml.safe_load(read(f'{PROMETHEUS_FILES}/rules_test.yml'))['tests']
                  for test in group.get('alert_rule_test', []) if test['exp_alerts']}
        self.assertEqual({rule['alert'] for rule in all_rules() if 'alert' in rule}, tested)

    def test_they_name_metrics_that_there_are(self):
        known = known_metrics()
        recorded = {rule['record'] for rule in all_rules() if 'record' in rule}
        for where, expression in [*Dashboard().queries(), *((rule.get('alert'), rule['expr']) for rule in all_rules())]:
            for selector in SELECTOR.findall(expression):
                self.assertIn(selector.split('{')[0], known | recorded, where)

    def test_the_dashboard_is_of_grafanas_type(self):
        peers.fetch()
        checker = os.path.join(harness.SOURCE, 'tests', 'peers', 'dashboard_types.mjs')
        run('node', checker, peers.directory, DASHBOARD)
        broken = os.path.join(self.scratch(), 'broken.json')
        with open(broken, 'w', encoding='utf-8') as file:
            file.write(read(DASHBOARD).replace('"type": "query"', '"type": "quary"'))
        self.assertIn('quary', run('node', checker, peers.directory, broken, check=False).stdout)

    def test_the_dashboard_is_laid_out(self):
        dashboard = Dashboard()
        self.assertEqual([p['title'] for p in dashboard.panels if p['type'] == 'row'], ['Fleet', 'Node', 'Container'])
        ids = [panel['id'] for panel in dashboard.panels]
        self.assertEqual(len(ids), len(set(ids)))
        taken = set()
        for panel in dashboard.panels:
            at = panel['gridPos']
            self.assertLessEqual(at['x'] + at['w'], 24, panel['title'])
            cells = {(x, y) for x in range(at['x'], at['x'] + at['w']) for y in range(at['y'], at['y'] + at['h'])}
            self.assertFalse(cells & taken, panel['title'])
            taken |= cells
            for target in panel.get('targets', []):
                self.assertEqual(target['datasource']['uid'], '${datasource}', panel['title'])


class MonitoringTest(harness.TestCase):
    def setUp(self):
        super().setUp()
        for program in ('prometheus', 'prometheus-alertmanager', 'promtool'):
            if not shutil.which(program):
                self.skipTest(f'no {program}')

    def oom_again(self, container):
        self.assertEqual(docker.start_and_wait(container), 137)

    def test_every_query_finds_its_data_and_alerts_arrive(self):
        directory = self.scratch()
        with Receiver() as incidents, Receiver() as alerts, Alertmanager(directory, alerts.url) as alertmanager, \
                Agent(directory, '--webhook-url', incidents.url) as agent, \
                Prometheus(directory, [agent.port], alertmanager) as prometheus:
            running, _ = docker.create('sleep', '600')
            docker('start', running)
            killed, name = docker.create('sh', '-c', 'sleep 1; exec hog anon 128m')
            self.remove_later(running, killed)
            for _ in range(3):
                self.oom_again(killed)
            kills = f'memcrest_oom_kills_total{{container="{name}"}}'
            self.assertTrue(wait_until(lambda: [s['value'][1] for s in prometheus.query(kills)] == ['3']))

            empty = {}

            def ask_all():
                """Some need two scrapes."""
                empty.clear()
                for where, expression in Dashboard().queries():
                    if not prometheus.query(expression):
                        empty[where] = expression
                for where, expression in Dashboard().variables():
                    if not prometheus.values(expression) and where not in NO_DATA:
                        empty[where] = expression
                for rule in all_rules():
                    prometheus.query(rule['expr'])
                    for selector in SELECTOR.findall(rule['expr']):
                        if not prometheus.query(selector) and selector not in NO_DATA:
                            empty[rule.get('alert', rule.get('record'))] = selector
                return not empty
            self.assertTrue(wait_until(ask_all, pause=1), f'no data: {json.dumps(empty, indent=1)}')
            self.assert_rules(prometheus, name)
            self.assert_delivered(alerts, name)
            self.assert_exemplar(prometheus, agent, killed, kills)
            self.assertIn(name, prometheus.values('label_values(memcrest_bursts_total, container)'))

    def assert_rules(self, prometheus, name):
        def fires(alert):
            return any(a['labels']['alertname'] == alert and a['labels'].get('container') == name and
                       a['state'] == 'firing' for a in prometheus.api('alerts')['alerts'])
        for alert in ('ContainerOutOfMemory', 'ContainerOutOfMemoryAgainAndAgain'):
            self.assertTrue(wait_until(lambda one=alert: fires(one)), alert)
        rules = [rule for group in prometheus.api('rules')['groups'] for rule in group['rules']]
        self.assertEqual(len(rules), len(all_rules()))
        for rule in rules:
            self.assertEqual((rule['health'], rule.get('lastError')), ('ok', None), rule['name'])
        firing = {a['labels']['alertname'] for a in prometheus.api('alerts')['alerts'] if a['state'] == 'firing'}
        self.assertEqual({one for one in firing if one.startswith('Memcrest')}, set())

    def assert_delivered(self, alerts, name):
        def summaries():
            return [alert['annotations']['summary'] for _, _, body, _ in list(alerts.requests)
                    for alert in json.loads(body)['alerts']]
        for summary in (f'{name} ran out of memory (memcg)', f'{name} runs out of memory again and again'):
            self.assertTrue(wait_until(lambda one=summary: one in summaries()), (summary, summaries()))

    def assert_exemplar(self, prometheus, agent, container, kills):
        found = prometheus.api('query_exemplars', query=kills, start='0', end='4000000000')
        self.assertTrue(found)
        ids = {exemplar['labels']['incident_id'] for series in found for exemplar in series['exemplars']}
        ours = {one['id'] for one in agent.incidents() if one['container']['id'] == container}
        self.assertTrue(ids)
        self.assertLessEqual(ids, ours)


if __name__ == '__main__':
    harness.main()
