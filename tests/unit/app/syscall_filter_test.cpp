// SPDX-License-Identifier: Apache-2.0
#include "app/syscall_filter.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/bpf.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <functional>
#include <thread>

namespace memcrest {
namespace {

// What a process says that has the filter. A filter cannot be taken off again, so each gets its own.
int in_filtered_process(ThreadDuty duty, const std::function<int()>& say) {
  const pid_t child = ::fork();
  if (child == 0) {
    ::_exit(filter_syscalls(duty) ? say() : 99);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 100 + WTERMSIG(status);
}

int error_of(long done) { return done < 0 ? errno : 0; }

int bpf_error(int command) {
  union bpf_attr attributes{};
  attributes.map_fd = ~0U;
  return error_of(::syscall(SYS_bpf, command, &attributes, sizeof(attributes)));
}

TEST(SyscallFilter, RefusesWhatAnAgentNeverDoes) {
  const std::function<int()> refused[] = {
      [] { return error_of(::execl("/bin/true", "true", nullptr)); },
      [] { return error_of(::fork()); },
      [] { return error_of(::vfork()); },
      [] { return error_of(::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr)); },
      [] { return error_of(::kill(::getppid(), 0)); },
      [] { return error_of(::syscall(SYS_tgkill, ::getppid(), ::getppid(), 0)); },
      [] { return error_of(::syscall(SYS_setns, 0, 0)); },
      [] { return error_of(::syscall(SYS_unshare, 0)); },
      [] { return error_of(::syscall(SYS_mount, nullptr, nullptr, nullptr, 0, nullptr)); },
      [] { return error_of(::syscall(SYS_process_vm_writev, ::getppid(), nullptr, 0, nullptr, 0, 0)); },
      [] { return error_of(::syscall(SYS_keyctl, 0, 0, 0, 0, 0)); },
      [] { return error_of(::syscall(SYS_io_uring_setup, 1, nullptr)); },
      [] { return error_of(::syscall(SYS_userfaultfd, 0)); },
      [] { return error_of(::syscall(SYS_init_module, nullptr, 0, "")); },
      [] { return error_of(::syscall(SYS_perf_event_open, nullptr, 0, 0, 0, 0)); },
      [] { return error_of(::setuid(::getuid())); },
      [] { return error_of(::syscall(SYS_capset, nullptr, nullptr)); },
      [] { return error_of(::socket(AF_PACKET, SOCK_RAW, 0)); },
      [] { return error_of(::socket(AF_VSOCK, SOCK_STREAM, 0)); },
      [] {
        const rlimit limit{.rlim_cur = 64, .rlim_max = 64};
        return error_of(::setrlimit(RLIMIT_NOFILE, &limit));
      },
      [] {
        void* at = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        return at == MAP_FAILED ? errno : 0;
      },
  };
  for (std::size_t i = 0; i < std::size(refused); ++i) {
    EXPECT_EQ(EPERM, in_filtered_process(ThreadDuty::kCollect, refused[i])) << i;
  }
}

TEST(SyscallFilter, ThreadsMemoryFilesAndSocketsWork) {
  const std::function<int()> allowed[] = {
      [] {
        int made = 1;
        std::thread([&] { made = 0; }).join();
        return made;
      },
      [] { return error_of(::socket(AF_UNIX, SOCK_STREAM, 0)) + error_of(::socket(AF_INET, SOCK_STREAM, 0)); },
      [] { return error_of(::open("/proc/self/status", O_RDONLY | O_CLOEXEC)); },
      [] {
        void* at = ::mmap(nullptr, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        return at == MAP_FAILED ? errno : 0;
      },
      [] {
        void* at = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        return at == MAP_FAILED ? errno : 0;
      },
      [] { return error_of(::memfd_create("x", MFD_CLOEXEC)); },
  };
  for (const ThreadDuty duty : {ThreadDuty::kServe, ThreadDuty::kCollect, ThreadDuty::kCollectKprobes}) {
    for (std::size_t i = 0; i < std::size(allowed); ++i) {
      EXPECT_EQ(0, in_filtered_process(duty, allowed[i])) << i;
    }
  }
}

TEST(SyscallFilter, BpfIsForReadingMapsAndAttaching) {
  for (const int command : {BPF_PROG_LOAD, BPF_MAP_CREATE, BPF_OBJ_PIN, BPF_PROG_GET_FD_BY_ID, BPF_MAP_GET_FD_BY_ID}) {
    EXPECT_EQ(EPERM, in_filtered_process(ThreadDuty::kCollect, [command] { return bpf_error(command); })) << command;
  }
  // No such map, says bpf() itself: without privileges some kernels do not get so far.
  if (bpf_error(BPF_MAP_LOOKUP_ELEM) != EBADF) {
    GTEST_SKIP() << "bpf() is not for this user";
  }
  EXPECT_EQ(EBADF, in_filtered_process(ThreadDuty::kCollect, [] { return bpf_error(BPF_MAP_LOOKUP_ELEM); }));
  EXPECT_EQ(EPERM, in_filtered_process(ThreadDuty::kServe, [] { return bpf_error(BPF_MAP_LOOKUP_ELEM); }));
}

TEST(SyscallFilter, KprobesNeedPerfEvents) {
  const auto open = [] { return error_of(::syscall(SYS_perf_event_open, nullptr, 0, -1, -1, 0)); };
  EXPECT_EQ(EFAULT, in_filtered_process(ThreadDuty::kCollectKprobes, open));
}

TEST(SyscallFilter, AbortStillAborts) {
  // tgkill knows the process that set the filter, and there is no other.
  EXPECT_EQ(100 + SIGABRT, in_filtered_process(ThreadDuty::kServe, []() -> int { std::abort(); }));
}

}  // namespace
}  // namespace memcrest
