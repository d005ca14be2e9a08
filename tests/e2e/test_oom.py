# SPDX-License-Identifier: Apache-2.0
"""OOM kills in real containers: each is caught once, explained, and named."""

import concurrent.futures

import harness
from harness import MIB, Watch, cgroups, docker, unique, wait_until

setUpModule = harness.start_docker
tearDownModule = harness.stop_docker


class OomTest(harness.TestCase):
    def ooms(self, watch, container):
        return watch.incidents('oom', container)

    def test_main_process_killed(self):
        with Watch() as watch:
            container, name, code = docker.run_to_end('hog', 'anon', '256m')
            self.remove_later(container)
            self.assertEqual(code, 137)
            incident = watch.wait_for('oom', container)
            self.assert_named(incident, container, name)
            self.assert_nothing_lost(incident)
            self.assertEqual(incident['schema'], 'memcrest.incident.v1')
            self.assertEqual(incident['scope'], 'memcg')
            self.assertEqual(incident['limit']['bytes'], 64 * MIB)
            self.assertEqual(incident['limit']['kind'],
                             cgroups.file('memory.limit_in_bytes', 'memory.max'))
            self.assertEqual(incident['limit']['cgroup_path'], incident['cgroup']['path'])
            self.assertLessEqual(incident['usage_bytes'], 64 * MIB)
            self.assertGreater(incident['usage_bytes'], 60 * MIB)
            self.assertEqual(incident['peak_bytes'], 64 * MIB)
            self.assertEqual(len(incident['victims']), 1)
            victim = incident['victims'][0]
            self.assertEqual(victim['comm'], 'hog')
            self.assertEqual(victim['cmdline'], 'hog anon 256m')
            self.assertEqual(victim['container_pid'], 1)
            self.assertEqual(victim['uid'], 0)
            self.assertTrue(victim['main_process'])
            self.assertGreater(victim['anon_bytes'], 50 * MIB)
            self.assertLess(victim['anon_bytes'], 65 * MIB)
            self.assertEqual(incident['trigger']['comm'], 'hog')
            burst = incident['burst']
            self.assertGreater(burst['growth_bytes'], 50 * MIB)
            self.assertEqual(burst['peak_bytes'], 64 * MIB)
            self.assertEqual(burst['contributors'][0]['comm'], 'hog')
            self.assertGreater(burst['contributors'][0]['share'], 0.9)
            for sampler in incident['samplers']:
                self.assertGreaterEqual(sampler['chance_seen'], 0)
                self.assertLessEqual(sampler['chance_seen'], 1)
                self.assertLess(sampler['typical_seen_bytes'], 64 * MIB)
            watch.settle()
            self.assertEqual(len(self.ooms(watch, container)), 1)

    def test_child_killed_while_the_container_lives_on(self):
        with Watch() as watch:
            container, name, code = docker.run_to_end('hog', 'child', 'anon', '256m')
            self.remove_later(container)
            self.assertEqual(code, 0)
            incident = watch.wait_for('oom', container)
            self.assert_named(incident, container, name)
            self.assertEqual(len(incident['victims']), 1)
            self.assertFalse(incident['victims'][0]['main_process'])
            self.assertGreater(incident['victims'][0]['container_pid'], 1)

    def test_several_kills_in_one_container_are_several_incidents(self):
        with Watch() as watch:
            script = 'for i in 1 2 3; do hog anon 256m; sleep 0.5; done; exit 0'
            container, _, code = docker.run_to_end('sh', '-c', script)
            self.remove_later(container)
            self.assertEqual(code, 0)
            wait_until(lambda: len(self.ooms(watch, container)) >= 3)
            watch.settle()
            incidents = self.ooms(watch, container)
            self.assertEqual(len(incidents), 3)
            self.assertEqual(len({i['victims'][0]['pid'] for i in incidents}), 3)
            self.assertEqual(len({i['id'] for i in incidents}), 3)

    def test_several_containers_at_once(self):
        with Watch() as watch:
            made = [docker.create('hog', 'anon', '256m') for _ in range(6)]
            self.remove_later(*[container for container, _ in made])
            with concurrent.futures.ThreadPoolExecutor(len(made)) as pool:
                codes = list(pool.map(docker.start_and_wait, [container for container, _ in made]))
            self.assertEqual(codes, [137] * len(made))
            for container, name in made:
                self.assert_named(watch.wait_for('oom', container), container, name)
            watch.settle()
            for container, _ in made:
                self.assertEqual(len(self.ooms(watch, container)), 1)

    def test_container_that_is_removed_at_once(self):
        with Watch() as watch:
            container, name = docker.create('hog', 'anon', '256m', options=['--rm'])
            self.assertEqual(docker.start_and_wait(container), 137)
            self.assert_named(watch.wait_for('oom', container), container, name)

    def test_container_that_ran_before_memcrest(self):
        container, name = docker.create('sh', '-c', 'while [ ! -e /go ]; do sleep 0.05; done; hog anon 256m; sleep 0.5')
        self.remove_later(container)
        docker('start', container)
        with Watch() as watch:
            docker('exec', container, 'touch', '/go')
            incident = watch.wait_for('oom', container)
            self.assert_named(incident, container, name)
            self.assertFalse(incident['victims'][0]['main_process'])

    def test_a_hundred_in_a_row(self):
        expected = {}
        with Watch() as watch:
            for index in range(100):
                name = unique(f'hundred-{index}')
                # Every other one is removed the moment it ends.
                options = ['--rm'] if index % 2 else []
                container, _ = docker.create('hog', 'anon', '64m', memory='16m', name=name, options=options)
                self.assertEqual(docker.start_and_wait(container), 137)
                expected[container] = name
            self.remove_later(*expected)
            wait_until(lambda: len({i['container']['id'] for i in watch.incidents('oom')} & expected.keys()) == 100)
            watch.settle()
            mine = [i for i in watch.incidents('oom') if i['container']['id'] in expected]
            self.assertEqual(len(mine), 100)
            self.assertEqual({i['container']['id'] for i in mine}, expected.keys())
            for incident in mine:
                container = incident['container']['id']
                self.assert_named(incident, container, expected[container])
                self.assert_nothing_lost(incident)

    def test_four_threads(self):
        with Watch() as watch:
            container, name, code = docker.run_to_end('hog', 'anon', '512m', '--threads', '4')
            self.remove_later(container)
            self.assertEqual(code, 137)
            self.assert_named(watch.wait_for('oom', container), container, name)
            watch.settle()
            incidents = self.ooms(watch, container)
            self.assertEqual(len(incidents), 1)
            self.assertEqual(len(incidents[0]['victims']), 1)

    def test_two_processes_that_share_their_memory(self):
        with Watch() as watch:
            container, name, code = docker.run_to_end('hog', 'clone-vm', '256m')
            self.remove_later(container)
            self.assertEqual(code, 137)
            self.assert_named(watch.wait_for('oom', container), container, name)
            watch.settle()
            self.assertEqual(len(self.ooms(watch, container)), 1)

    def test_tmpfs(self):
        with Watch() as watch:
            container, name, code = docker.run_to_end('hog', 'tmpfs', '/t', '200m',
                                                      options=['--tmpfs', '/t:size=512m'])
            self.remove_later(container)
            self.assertEqual(code, 137)
            incident = watch.wait_for('oom', container)
            self.assert_named(incident, container, name)
            self.assertEqual(incident['peak_bytes'], 64 * MIB)
            # What fills the limit is no memory of the victim's.
            self.assertLess(incident['victims'][0]['anon_bytes'], 8 * MIB)

    def test_slow_growth_without_a_burst(self):
        with Watch() as watch:
            container, name, code = docker.run_to_end('hog', 'anon', '256m', '--rate', '16', memory='32m')
            self.remove_later(container)
            self.assertEqual(code, 137)
            self.assert_named(watch.wait_for('oom', container), container, name)

    def test_page_cache_that_fills_the_limit_is_no_oom(self):
        with Watch() as watch:
            container, _, code = docker.run_to_end(
                'sh', '-c', 'hog makefile /f 100m && hog readfile /f && hog readfile /f', memory='32m')
            self.remove_later(container)
            self.assertEqual(code, 0)
            watch.settle(2)
            self.assertEqual(self.ooms(watch, container), [])

    def test_fork_bomb_under_a_pids_limit(self):
        with Watch() as watch:
            container, _, code = docker.run_to_end('hog', 'fork', '5000', '--hold', '200',
                                                   options=['--pids-limit', '100'])
            self.remove_later(container)
            self.assertEqual(code, 0)
            watch.settle()
            self.assertEqual(self.ooms(watch, container), [])
            # And it still watches.
            container, name, _ = docker.run_to_end('hog', 'anon', '256m')
            self.remove_later(container)
            self.assert_named(watch.wait_for('oom', container), container, name)

    def test_many_small_processes_fill_the_limit(self):
        with Watch() as watch:
            container, name, _ = docker.run_to_end(
                'sh', '-c', 'for i in 1 2 3 4 5 6 7 8; do hog anon 8m --hold 20000 & done; wait', memory='32m')
            self.remove_later(container)
            self.assert_named(watch.wait_for('oom', container), container, name)

    def test_a_limit_of_a_parent(self):
        parent = '/' + unique('mcparent')
        with cgroups.made(parent, 64 * MIB), Watch() as watch:
            container, name, code = docker.run_to_end('hog', 'anon', '256m', memory='512m',
                                                      options=['--cgroup-parent', parent])
            self.remove_later(container)
            self.assertEqual(code, 137)
            incident = watch.wait_for('oom', container)
            self.assert_named(incident, container, name)
            self.assertEqual(incident['scope'], 'ancestor')
            self.assertEqual(incident['limit']['cgroup_path'], parent)
            self.assertEqual(incident['limit']['bytes'], 64 * MIB)
            self.assertEqual(incident['cgroup']['path'], f'{parent}/{container}')
            docker('rm', '-f', container)

    def test_a_limit_inside_the_container(self):
        container, name = docker.create('sh', '-c', 'while [ ! -e /go ]; do sleep 0.05; done; hog anon 256m; sleep 0.5',
                                        memory='256m')
        self.remove_later(container)
        with Watch() as watch:
            docker('start', container)
            main = docker.inspect(container, '.State.Pid')
            inner = harness.shared_cgroup(container) + '/inner'
            with cgroups.made(inner, 16 * MIB):
                cgroups.write(inner, 'cgroup.procs', 'cgroup.procs', main)
                docker('exec', container, 'touch', '/go')
                incident = watch.wait_for('oom', container)
                docker('wait', container)
            self.assertEqual(incident['scope'], 'memcg')
            self.assertEqual(incident['container']['name'], name)
            self.assertEqual(incident['cgroup']['path'], inner)
            self.assertEqual(incident['limit']['cgroup_path'], inner)
            self.assertEqual(incident['limit']['bytes'], 16 * MIB)

    def test_an_oom_outside_any_container(self):
        path = '/' + unique('mcplain')
        with Watch() as watch, cgroups.made(path, 16 * MIB):
            procs = cgroups.dir(path) + '/cgroup.procs'
            done = harness.run('sh', '-c', f'echo $$ > {procs} && exec {harness.HOG} anon 64m', check=False)
            self.assertEqual(done.returncode, -9)
            incident = watch.wait_for('oom', match=lambda i: i['cgroup']['path'] == path)
            self.assertEqual(incident['container']['runtime'], 'none')
            self.assertIsNone(incident['container']['id'])
            self.assertEqual(incident['limit']['bytes'], 16 * MIB)


class RuntimeStateTest(harness.TestCase):
    """What Docker says of the end comes as a second line, in its own words."""

    def run_watched(self, watch, *command, **options):
        """(the incident, what Docker itself says now)"""
        container, name, code = docker.run_to_end(*command, **options)
        self.remove_later(container)
        incident = watch.wait_for('oom', container)
        self.assert_named(incident, container, name)
        docker_says = {'exit_code': code, 'oom_killed': docker.inspect(container, '.State.OOMKilled') == 'true'}
        self.assertEqual(docker.inspect(container, '.State.ExitCode'), str(code))
        return incident, docker_says

    def test_main_process(self):
        with Watch() as watch:
            incident, docker_says = self.run_watched(watch, 'hog', 'anon', '256m')
            self.assertEqual(docker_says['exit_code'], 137)
            self.assert_told_again(watch, incident, restart_count=0, **docker_says)

    def test_child_killed_and_the_main_process_ends_well(self):
        with Watch() as watch:
            incident, docker_says = self.run_watched(watch, 'hog', 'child', 'anon', '256m')
            self.assertEqual(docker_says['exit_code'], 0)
            again = self.assert_told_again(watch, incident, **docker_says)
            self.assertFalse(again['victims'][0]['main_process'])

    def test_child_killed_and_the_main_process_says_137(self):
        """As a shell does that passes its child's end on: 137, and no kill of the main process."""
        with Watch() as watch:
            incident, docker_says = self.run_watched(watch, 'sh', '-c', 'hog anon 256m; exit $?')
            self.assertEqual(docker_says['exit_code'], 137)
            again = self.assert_told_again(watch, incident, **docker_says)
            self.assertFalse(again['victims'][0]['main_process'])

    def test_started_again_at_once(self):
        with Watch() as watch:
            container, name = docker.create('sh', '-c', 'sleep 0.3; exec hog anon 256m', options=['--restart', 'on-failure:2'])
            self.remove_later(container)
            docker('start', container)
            wait_until(lambda: len(watch.incidents('oom', container)) >= 3)
            incidents = watch.incidents('oom', container)
            self.assertEqual(len(incidents), 3)
            self.assert_named(incidents[-1], container, name)
            self.assert_told_again(watch, incidents[-1], exit_code=137, restart_count=2)

    def test_removed_at_once_is_told_once(self):
        with Watch() as watch:
            container, _, _ = docker.run_to_end('hog', 'anon', '256m', options=['--rm'])
            incident = watch.wait_for('oom', container)
            self.assertLessEqual(len(watch.incidents('oom', container, update='runtime_state')), 1)
            self.assertIsNone(incident['update'])

    def test_as_text(self):
        name = unique()
        with Watch('--container', name, json_lines=False) as watch:
            container, _, _ = docker.run_to_end('sh', '-c', 'hog anon 256m; exit $?', name=name)
            self.remove_later(container)
            self.assertTrue(wait_until(lambda: 'OOMKilled' in watch.out.text()))
            watch.settle(0.2)
            again = watch.out.text().split('\n\n')[-2]  # the last one, which may be the only one
            self.assertIn(name, again.splitlines()[0])
            self.assertRegex(again, r'state +exited · exit code 137 · OOMKilled (true|false) · ended \d\d:\d\d:\d\d')
            self.assertRegex(again, r'kernel +its OOM killer killed hog\[\d+\], not the main process')


if __name__ == '__main__':
    harness.main()
