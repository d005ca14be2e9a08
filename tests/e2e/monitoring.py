# SPDX-License-Identifier: Apache-2.0
"""A real Prometheus and a real Alertmanager for the life of a with statement, and what a Grafana dashboard asks."""

import contextlib
import json
import os
import re
import subprocess
import urllib.error
import urllib.parse
import urllib.request

from harness import SOURCE, free_port, read, wait_until

PROMETHEUS_FILES = os.path.join(SOURCE, 'deploy', 'prometheus')
DASHBOARD = os.path.join(SOURCE, 'deploy', 'grafana', 'memcrest.json')
# What Grafana puts in for "All" of each variable, and for a range of an hour.
VARIABLES = {'$__rate_interval': '1m', '$__range': '1h', '$instance': '.*', '$namespace': '.*', '$pod': '.*',
             '$container': '.*'}


class Server:
    """A program with an HTTP address of its own, ended at the end."""

    def __init__(self, *command, ready='/-/ready'):
        self.port = free_port()
        self.command = [part.replace('PORT', str(self.port)) for part in command]
        self.ready = ready

    def __enter__(self):
        self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT)
        if not wait_until(self._is_ready):
            self.__exit__()
            raise AssertionError(f'{self.command} does not come up: {self.output}')
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.output = self.process.communicate(timeout=20)[0].decode(errors='replace')
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.output = self.process.communicate()[0].decode(errors='replace')

    def _is_ready(self):
        with contextlib.suppress(OSError):
            return self.fetch(self.ready)[0] == 200
        return self.process.poll() is not None

    def fetch(self, path):
        try:
            with urllib.request.urlopen(f'http://127.0.0.1:{self.port}{path}', timeout=20) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()


class Alertmanager(Server):
    def __init__(self, directory, webhook):
        path = os.path.join(directory, 'alertmanager.yml')
        with open(path, 'w', encoding='utf-8') as file:
            json.dump({'route': {'receiver': 'test', 'group_wait': '1s', 'group_by': ['...']},
                       'receivers': [{'name': 'test', 'webhook_configs': [{'url': webhook}]}]}, file)
        super().__init__('prometheus-alertmanager', f'--config.file={path}', f'--storage.path={directory}/alertmanager',
                         '--web.listen-address=127.0.0.1:PORT', '--cluster.listen-address=')


class Prometheus(Server):
    """Scrapes the ports once a second, with the rules of deploy/prometheus."""

    def __init__(self, directory, ports, alertmanager):
        path = os.path.join(directory, 'prometheus.yml')
        with open(path, 'w', encoding='utf-8') as file:
            json.dump({'global': {'scrape_interval': '1s', 'evaluation_interval': '1s'},
                       'rule_files': [os.path.join(PROMETHEUS_FILES, 'rules.yml')],
                       'alerting': {'alertmanagers': [{'static_configs': [{'targets': [
                           f'127.0.0.1:{alertmanager.port}']}]}]},
                       'scrape_configs': [{'job_name': 'memcrest', 'honor_labels': True, 'static_configs': [
                           {'targets': [f'127.0.0.1:{port}' for port in ports]}]}]}, file)
        super().__init__('prometheus', f'--config.file={path}', f'--storage.tsdb.path={directory}/prometheus',
                         '--web.listen-address=127.0.0.1:PORT', '--enable-feature=exemplar-storage')

    def api(self, path, **parameters):
        status, text = self.fetch(f'/api/v1/{path}?{urllib.parse.urlencode(parameters)}')
        answer = json.loads(text)
        if status != 200 or answer['status'] != 'success':
            raise AssertionError(f'{path} {parameters}: {status} {text}')
        return answer['data']

    def query(self, expression):
        """The samples now; an error where it does not parse."""
        return self.api('query', query=expression)['result']

    def values(self, label_query):
        """What Grafana's label_values(SELECTOR, LABEL) gives."""
        selector, label = re.fullmatch(r'label_values\((.*), (\w+)\)', label_query).groups()
        return self.api(f'label/{label}/values', **{'match[]': selector})


def fill_in(text):
    for name, value in VARIABLES.items():
        text = text.replace(name, value)
    if '$' in text:
        raise AssertionError(f'a variable that Grafana does not have: {text}')
    return text


class Dashboard:
    def __init__(self):
        self.json = json.loads(read(DASHBOARD))
        self.panels = [panel for top in self.json['panels'] for panel in [top, *top.get('panels', [])]]

    def queries(self):
        """(where it stands, expression) of panels and annotations."""
        for panel in self.panels:
            for target in panel.get('targets', []):
                yield f'{panel["title"]} {target["refId"]}', fill_in(target['expr'])
        for one in self.json['annotations']['list']:
            yield f'annotation {one["name"]}', fill_in(one['target']['expr'])

    def variables(self):
        for one in self.json['templating']['list']:
            if one['type'] == 'query':
                yield one['name'], fill_in(one['query']['query'])
