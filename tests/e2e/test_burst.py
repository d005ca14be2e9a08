# SPDX-License-Identifier: Apache-2.0
"""Bursts without an OOM, which no sampling tool would have seen."""

import harness
from harness import MIB, Watch, cgroups, docker, shared_cgroup

setUpModule = harness.start_docker
tearDownModule = harness.stop_docker


class BurstTest(harness.TestCase):
    def burst_in(self, watch, *hog, memory='256m', options=()):
        """Runs hog in a container that lives on; returns (incident, container id, name, exact peak of the cgroup)."""
        script = 'sleep 1; ' + ' '.join(['hog', *hog]) + '; sleep 60'
        container, name = docker.create('sh', '-c', script, memory=memory, options=options)
        self.remove_later(container)
        docker('start', container)
        incident = watch.wait_for('burst', container)
        watch.settle(2)
        return incident, container, name, cgroups.peak(shared_cgroup(container))

    def test_64_mib_for_one_millisecond(self):
        with Watch() as watch:
            incident, container, name, peak = self.burst_in(watch, 'anon', '64m', '--hold', '1')
            self.assert_named(incident, container, name)
            step = max(MIB, 256 * MIB // 128)
            self.assertLessEqual(abs(incident['burst']['peak_bytes'] - peak), step)
            self.assertLessEqual(abs(incident['peak_bytes'] - peak), step)
            self.assertGreater(peak, 64 * MIB)
            self.assertGreaterEqual(incident['burst']['growth_bytes'], 60 * MIB)
            self.assertEqual(incident['burst']['contributors'][0]['comm'], 'hog')
            self.assertEqual(incident['victims'], [])
            self.assertEqual(incident['limit']['bytes'], 256 * MIB)
            for sampler in incident['samplers']:
                # Held for a millisecond: a sampler of one second or more cannot have had much of a chance.
                self.assertLess(sampler['chance_seen'], 0.5, sampler)
                self.assertLess(sampler['typical_seen_bytes'], 32 * MIB, sampler)
            self.assertEqual(len(watch.incidents('burst', container)), 1)
            self.assertEqual(watch.incidents('oom', container), [])

    def test_four_threads(self):
        with Watch() as watch:
            incident, container, name, peak = self.burst_in(watch, 'anon', '128m', '--threads', '4', '--hold', '1')
            self.assert_named(incident, container, name)
            self.assertLessEqual(abs(incident['burst']['peak_bytes'] - peak), 2 * MIB)

    def test_huge_pages(self):
        with Watch() as watch:
            incident, container, name, peak = self.burst_in(watch, 'anon', '128m', '--thp', '--hold', '1')
            self.assert_named(incident, container, name)
            self.assertLessEqual(abs(incident['burst']['peak_bytes'] - peak), 2 * MIB)

    def test_tmpfs(self):
        with Watch() as watch:
            incident, container, name, peak = self.burst_in(watch, 'tmpfs', '/t', '96m',
                                                            options=['--tmpfs', '/t:size=512m'])
            self.assert_named(incident, container, name)
            self.assertLessEqual(abs(incident['burst']['peak_bytes'] - peak), 2 * MIB)

    def test_bursts_that_come_again_are_told_again(self):
        with Watch() as watch:
            _, container, _, _ = self.burst_in(watch, 'anon', '64m', '--hold', '1', '--repeat', '3', '--pause', '2000')
            harness.wait_until(lambda: len(watch.incidents('burst', container)) >= 3)
            watch.settle()
            self.assertEqual(len(watch.incidents('burst', container)), 3)

    def test_slow_growth_is_no_burst(self):
        with Watch() as watch:
            container, _, code = docker.run_to_end('hog', 'anon', '48m', '--rate', '8', memory='256m')
            self.remove_later(container)
            self.assertEqual(code, 0)
            watch.settle()
            self.assertEqual(watch.incidents('burst', container), [])

    def test_thresholds_are_the_users(self):
        with Watch('--burst-min', '4m', '--step', '512k', '--burst-window', '2s') as watch:
            container, name, code = docker.run_to_end('sh', '-c', 'sleep 0.5; hog anon 8m; sleep 1', memory='256m')
            self.remove_later(container)
            self.assertEqual(code, 0)
            self.assert_named(watch.wait_for('burst', container), container, name)
        with Watch('--burst-min', '200m') as watch:
            container, _, _ = docker.run_to_end('sh', '-c', 'sleep 0.5; hog anon 100m; sleep 1', memory='256m')
            self.remove_later(container)
            watch.settle()
            self.assertEqual(watch.incidents('burst', container), [])

    def test_only_the_container_that_was_asked_for(self):
        wanted, wanted_name = docker.create('hog', 'anon', '256m')
        other, _ = docker.create('hog', 'anon', '256m')
        by_id, _ = docker.create('hog', 'anon', '256m')
        self.remove_later(wanted, other, by_id)
        with Watch('--container', wanted_name, '--container', by_id[:12]) as watch:
            for container in (other, wanted, by_id):
                self.assertEqual(docker.start_and_wait(container), 137)
            watch.wait_for('oom', by_id)
            watch.wait_for('oom', wanted)
            watch.settle()
            self.assertEqual(watch.incidents(container=other), [])


if __name__ == '__main__':
    harness.main()
