# SPDX-License-Identifier: Apache-2.0
"""libmemcrest as somebody else uses it: installed, found by CMake and by pkg-config, and catching an OOM."""

import glob
import json
import os
import shutil
import signal
import subprocess
import tempfile
import unittest

import harness
from harness import BUILD, HOG, MIB, SOURCE, cgroups, run, unique, wait_until

CXX = 'g++-12'
EXAMPLE = os.path.join(SOURCE, 'examples', 'embed')


class LibraryTest(harness.TestCase):
    @classmethod
    def setUpClass(cls):
        if not shutil.which(CXX) or not shutil.which('cmake'):
            raise unittest.SkipTest(f'no {CXX} or cmake')
        cls.top = tempfile.mkdtemp(prefix='memcrest-e2e-library.')
        cls.addClassCleanup(shutil.rmtree, cls.top, ignore_errors=True)
        cls.prefix = os.path.join(cls.top, 'prefix')
        run('cmake', '--build', BUILD, '--target', 'libmemcrest', timeout=600)
        run('cmake', '--install', BUILD, '--component', 'library', '--prefix', cls.prefix)

    def catches_an_oom(self, program):
        """The exporter of the example tells of one OOM, in a cgroup of this test."""
        path = f'/{unique()}'
        with cgroups.made(path, 32 * MIB):
            with subprocess.Popen([program, '60'], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
                out, err = harness.Lines(process.stdout), harness.Lines(process.stderr)
                try:
                    self.assertTrue(wait_until(lambda: b'charges' in b''.join(line for _, line in err.items)), err.text())
                    inside = f'echo $$ > {cgroups.dir(path)}/cgroup.procs && exec {HOG} anon 64m'
                    killed = subprocess.run(['sh', '-c', inside], check=False, timeout=60)
                    self.assertEqual(killed.returncode, -signal.SIGKILL)
                    found = wait_until(lambda: [line for _, line in list(out.items) if path.encode() in line])
                    self.assertTrue(found, err.text())
                finally:
                    process.kill()
            line = found[0].decode()
            self.assertTrue(line.startswith(f'1 killed, limit {32 * MIB}: {{'), line)
            harness.validate(line.split(': ', 1)[1])
            self.assertEqual(json.loads(line.split(': ', 1)[1])['cgroup']['path'], path)

    def test_found_by_cmake(self):
        build = os.path.join(self.top, 'cmake')
        run('cmake', '-S', EXAMPLE, '-B', build, f'-DCMAKE_CXX_COMPILER={CXX}', f'-DCMAKE_PREFIX_PATH={self.prefix}')
        run('cmake', '--build', build, timeout=300)
        self.catches_an_oom(os.path.join(build, 'embed'))

    def test_found_by_pkg_config(self):
        folder = os.path.dirname(glob.glob(f'{self.prefix}/**/memcrest.pc', recursive=True)[0])
        env = {**os.environ, 'PKG_CONFIG_PATH': folder}
        flags = run('pkg-config', '--cflags', '--libs', 'memcrest', env=env).stdout.split()
        program = os.path.join(self.top, 'embed-pkg-config')
        run(CXX, '-std=c++23', os.path.join(EXAMPLE, 'main.cpp'), *flags, '-o', program, timeout=300)
        self.catches_an_oom(program)
        # the same number for CMake, pkg-config and the program
        version = run('pkg-config', '--modversion', 'memcrest', env=env).stdout.strip()
        self.assertIn(version, harness.memcrest('--version').stdout)

    def test_each_header_stands_alone_and_shows_nobody_elses(self):
        folder = os.path.join(self.prefix, 'include', 'memcrest')
        headers = sorted(os.listdir(folder))
        self.assertIn('monitor.h', headers)
        self.assertNotIn('abi', headers)
        for header in headers:
            with self.subTest(header=header):
                alone = os.path.join(self.top, 'alone.cpp')
                with open(alone, 'w', encoding='utf-8') as file:
                    file.write(f'#include <memcrest/{header}>\n')
                flags = ['-std=c++23', '-Wall', '-Wextra', '-Werror', f'-I{self.prefix}/include', alone]
                run(CXX, '-fsyntax-only', *flags)
                used = run(CXX, '-M', *flags).stdout.replace('\\', ' ').split()[2:]
                self.assertIn(f'{self.prefix}/include/memcrest/{header}', used)
                others = [path for path in used if not path.startswith((self.prefix, '/usr/include/c++/', '/usr/lib/gcc/'))]
                self.assertTrue(others)  # libc's
                leaked = ('bpf', 'elf', 'dwarf', 'nlohmann', 'spdlog', 'fmt', 'sqlite', 'openssl', 'CLI', 'cap-ng')
                self.assertEqual([], [path for path in others if any(name in path for name in leaked)])

    def test_says_why_it_cannot(self):
        program = os.path.join(self.top, 'cmake', 'embed')
        if not os.path.exists(program):
            self.test_found_by_cmake()
        done = run('capsh', '--drop=all', '--', '-c', f'exec {program} 1', check=False)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn('embed: ', done.stderr)


class SbomTest(unittest.TestCase):
    def test_names_what_was_linked_and_bundled(self):
        document = json.loads(run(os.path.join(SOURCE, 'scripts', 'sbom'), BUILD).stdout)
        packages = {one['name']: one for one in document['packages']}
        self.assertLessEqual({'memcrest', 'libbpf-dev', 'libssl-dev', 'libsqlite3-dev', 'libseccomp-dev', 'libmicrohttpd-dev',
                              'libstdc++-12-dev', 'uplot'}, set(packages))
        self.assertNotIn('libgtest-dev', packages)  # of tests, not of the program
        self.assertEqual(packages['libbpf-dev']['versionInfo'],
                         run('dpkg-query', '-W', '-f', '${Version}', 'libbpf-dev').stdout)
        ids = [one['SPDXID'] for one in document['packages']]
        self.assertEqual(len(ids), len(set(ids)))
        self.assertLessEqual({one['relatedSpdxElement'] for one in document['relationships']}, set(ids))


if __name__ == '__main__':
    harness.main()
