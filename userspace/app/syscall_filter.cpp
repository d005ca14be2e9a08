// SPDX-License-Identifier: Apache-2.0
#include "app/syscall_filter.h"

#include <linux/bpf.h>
#include <linux/netlink.h>
#include <linux/perf_event.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <vector>

namespace memcrest {
namespace {

// By what they are for; seen with strace, and beside each what another libc or architecture takes for the same (open
// for openat, epoll_pwait for epoll_wait). libseccomp leaves out what an architecture does not have.
constexpr int kAllowed[] = {
    // memory
    SCMP_SYS(brk), SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(madvise), SCMP_SYS(membarrier),
    // threads, time, signals
    SCMP_SYS(futex), SCMP_SYS(futex_time64), SCMP_SYS(set_robust_list), SCMP_SYS(get_robust_list), SCMP_SYS(rseq),
    SCMP_SYS(set_tid_address), SCMP_SYS(sched_yield), SCMP_SYS(sched_getaffinity), SCMP_SYS(getcpu), SCMP_SYS(exit),
    SCMP_SYS(exit_group), SCMP_SYS(gettid), SCMP_SYS(getpid), SCMP_SYS(getppid), SCMP_SYS(restart_syscall),
    SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigreturn), SCMP_SYS(rt_sigpending),
    SCMP_SYS(sigaltstack), SCMP_SYS(clock_gettime), SCMP_SYS(clock_getres), SCMP_SYS(clock_nanosleep),
    SCMP_SYS(nanosleep), SCMP_SYS(gettimeofday), SCMP_SYS(time), SCMP_SYS(timerfd_create), SCMP_SYS(timerfd_settime),
    SCMP_SYS(timerfd_gettime),
    // what the process is
    SCMP_SYS(getuid), SCMP_SYS(geteuid), SCMP_SYS(getgid), SCMP_SYS(getegid), SCMP_SYS(getrusage), SCMP_SYS(uname),
    SCMP_SYS(sysinfo), SCMP_SYS(getrlimit), SCMP_SYS(getrandom), SCMP_SYS(capget), SCMP_SYS(getcwd),
    // reading and waiting
    SCMP_SYS(read), SCMP_SYS(readv), SCMP_SYS(pread64), SCMP_SYS(preadv), SCMP_SYS(close), SCMP_SYS(close_range),
    SCMP_SYS(lseek), SCMP_SYS(fcntl), SCMP_SYS(dup), SCMP_SYS(dup2), SCMP_SYS(dup3), SCMP_SYS(poll), SCMP_SYS(ppoll),
    SCMP_SYS(select), SCMP_SYS(pselect6), SCMP_SYS(epoll_create1), SCMP_SYS(epoll_ctl), SCMP_SYS(epoll_wait),
    SCMP_SYS(epoll_pwait), SCMP_SYS(epoll_pwait2), SCMP_SYS(eventfd2), SCMP_SYS(pipe2), SCMP_SYS(inotify_init1),
    SCMP_SYS(inotify_add_watch), SCMP_SYS(inotify_rm_watch), SCMP_SYS(fadvise64), SCMP_SYS(readahead),
    SCMP_SYS(memfd_create),
    // files and directories: which of them is for permissions and mounts to say
    SCMP_SYS(open), SCMP_SYS(openat), SCMP_SYS(openat2), SCMP_SYS(stat), SCMP_SYS(fstat), SCMP_SYS(lstat),
    SCMP_SYS(newfstatat), SCMP_SYS(statx), SCMP_SYS(statfs), SCMP_SYS(fstatfs), SCMP_SYS(access), SCMP_SYS(faccessat),
    SCMP_SYS(faccessat2), SCMP_SYS(readlink), SCMP_SYS(readlinkat), SCMP_SYS(getdents64),
    // the spool and recordings
    SCMP_SYS(write), SCMP_SYS(writev), SCMP_SYS(pwrite64), SCMP_SYS(pwritev), SCMP_SYS(fsync), SCMP_SYS(fdatasync),
    SCMP_SYS(ftruncate), SCMP_SYS(fallocate), SCMP_SYS(flock), SCMP_SYS(fchmod), SCMP_SYS(fchown), SCMP_SYS(umask),
    SCMP_SYS(mkdir), SCMP_SYS(mkdirat), SCMP_SYS(rmdir), SCMP_SYS(unlink), SCMP_SYS(unlinkat), SCMP_SYS(rename),
    SCMP_SYS(renameat), SCMP_SYS(renameat2), SCMP_SYS(link), SCMP_SYS(linkat), SCMP_SYS(utimensat), SCMP_SYS(chmod),
    SCMP_SYS(fchmodat),
    // sockets, but for making one
    SCMP_SYS(socketpair), SCMP_SYS(connect), SCMP_SYS(bind), SCMP_SYS(listen), SCMP_SYS(accept), SCMP_SYS(accept4),
    SCMP_SYS(shutdown), SCMP_SYS(getsockname), SCMP_SYS(getpeername), SCMP_SYS(setsockopt), SCMP_SYS(getsockopt),
    SCMP_SYS(sendto), SCMP_SYS(sendmsg), SCMP_SYS(sendmmsg), SCMP_SYS(recvfrom), SCMP_SYS(recvmsg), SCMP_SYS(recvmmsg),
    SCMP_SYS(sendfile)};

// Maps are read and written, and programs attached that were loaded before. Loading, making maps and pinning are over.
constexpr unsigned kBpfCommands[] = {BPF_MAP_LOOKUP_ELEM,     BPF_MAP_UPDATE_ELEM,  BPF_MAP_DELETE_ELEM,
                                     BPF_MAP_GET_NEXT_KEY,    BPF_MAP_LOOKUP_BATCH, BPF_LINK_CREATE,
                                     BPF_RAW_TRACEPOINT_OPEN, BPF_LINK_DETACH,      BPF_OBJ_GET_INFO_BY_FD};

constexpr unsigned kPerfRequests[] = {PERF_EVENT_IOC_ENABLE, PERF_EVENT_IOC_DISABLE, PERF_EVENT_IOC_SET_BPF};
constexpr unsigned kPlainRequests[] = {FIONREAD, FIONBIO, TCGETS};
constexpr unsigned kProcessControls[] = {PR_SET_NAME, PR_GET_NAME, PR_SET_NO_NEW_PRIVS};

// No library asks for these on its own. Who does has taken over the agent: the kernel's audit log is told.
constexpr int kAlarming[] = {SCMP_SYS(execve),
                             SCMP_SYS(execveat),
                             SCMP_SYS(fork),
                             SCMP_SYS(vfork),
                             SCMP_SYS(ptrace),
                             SCMP_SYS(setns),
                             SCMP_SYS(unshare),
                             SCMP_SYS(mount),
                             SCMP_SYS(umount2),
                             SCMP_SYS(pivot_root),
                             SCMP_SYS(chroot),
                             SCMP_SYS(move_mount),
                             SCMP_SYS(open_tree),
                             SCMP_SYS(init_module),
                             SCMP_SYS(finit_module),
                             SCMP_SYS(kexec_load),
                             SCMP_SYS(keyctl),
                             SCMP_SYS(io_uring_setup),
                             SCMP_SYS(userfaultfd),
                             SCMP_SYS(capset),
                             SCMP_SYS(process_vm_readv),
                             SCMP_SYS(process_vm_writev),
                             SCMP_SYS(open_by_handle_at),
                             SCMP_SYS(pidfd_getfd)};

class Filter {
 public:
  explicit Filter(std::uint32_t otherwise) : context_(seccomp_init(otherwise)) {
    note(context_ ? 0 : -ENOMEM);
    note(seccomp_attr_set(context_.get(), SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS));
    // More rules than a filter should walk one by one: sorted as a tree.
    ignore_result(seccomp_attr_set(context_.get(), SCMP_FLTATR_CTL_OPTIMIZE, 2));
  }

  // Kernels before 4.14 do not know it: there what is refused is not logged.
  void log() { ignore_result(seccomp_attr_set(context_.get(), SCMP_FLTATR_CTL_LOG, 1)); }
  void refuse(int call) { note(seccomp_rule_add_array(context_.get(), SCMP_ACT_ERRNO(EPERM), call, 0, nullptr)); }

  void allow(int call) { note(seccomp_rule_add_array(context_.get(), SCMP_ACT_ALLOW, call, 0, nullptr)); }
  void allow(int call, const std::vector<scmp_arg_cmp>& when) {
    note(seccomp_rule_add_array(context_.get(), SCMP_ACT_ALLOW, call, static_cast<unsigned>(when.size()), when.data()));
  }
  void absent(int call) { note(seccomp_rule_add_array(context_.get(), SCMP_ACT_ERRNO(ENOSYS), call, 0, nullptr)); }

  [[nodiscard]] Result<void> load() {
    note(error_ == 0 ? seccomp_load(context_.get()) : 0);
    return error_ == 0 ? Result<void>{} : Result<void>(fail("set", "the seccomp filter", -error_));
  }

 private:
  struct Release {
    void operator()(void* context) const { seccomp_release(context); }
  };

  void note(int code) { error_ = error_ == 0 ? code : error_; }

  std::unique_ptr<void, Release> context_;
  int error_ = 0;
};

scmp_arg_cmp equals(unsigned argument, std::uint64_t value) { return {argument, SCMP_CMP_EQ, value, 0}; }

scmp_arg_cmp masked(unsigned argument, std::uint64_t mask, std::uint64_t value) {
  return {argument, SCMP_CMP_MASKED_EQ, mask, value};
}

// Arguments that are 32 bits wide for the kernel: what stands above them is anybody's.
scmp_arg_cmp equals_int(unsigned argument, std::uint32_t value) { return masked(argument, 0xffffffffU, value); }

void allow_by_argument(Filter& filter) {
  for (const int domain : {AF_UNIX, AF_INET, AF_INET6}) {
    filter.allow(SCMP_SYS(socket), {equals_int(0, static_cast<std::uint32_t>(domain))});
  }
  // getaddrinfo asks which families there are
  filter.allow(SCMP_SYS(socket), {equals_int(0, AF_NETLINK), equals_int(2, NETLINK_ROUTE)});
  // Threads, no processes. Of clone3 the flags cannot be seen: libc then takes clone.
  filter.allow(SCMP_SYS(clone), {masked(0, CLONE_THREAD, CLONE_THREAD)});
  filter.absent(SCMP_SYS(clone3));
  // abort, and nobody else
  filter.allow(SCMP_SYS(tgkill), {equals_int(0, static_cast<std::uint32_t>(::getpid()))});
  // Memory may be executable (libc loads libraries that look up names), or writable, but not both.
  for (const int call : {SCMP_SYS(mmap), SCMP_SYS(mmap2), SCMP_SYS(mprotect)}) {
    filter.allow(call, {masked(2, PROT_EXEC, 0)});
    filter.allow(call, {masked(2, PROT_EXEC | PROT_WRITE, PROT_EXEC)});
  }
  filter.allow(SCMP_SYS(prlimit64), {equals_int(0, 0), equals(2, 0)});
  for (const unsigned control : kProcessControls) {
    filter.allow(SCMP_SYS(prctl), {equals_int(0, control)});
  }
  // One more filter only takes away.
  filter.allow(SCMP_SYS(seccomp), {equals_int(0, SECCOMP_SET_MODE_FILTER)});
  for (const unsigned request : kPlainRequests) {
    filter.allow(SCMP_SYS(ioctl), {equals_int(1, request)});
  }
}

void allow_hooks(Filter& filter, bool kprobes) {
  for (const unsigned command : kBpfCommands) {
    filter.allow(SCMP_SYS(bpf), {equals_int(0, command)});
  }
  if (!kprobes) {
    return;
  }
  filter.allow(SCMP_SYS(perf_event_open));
  for (const unsigned request : kPerfRequests) {
    filter.allow(SCMP_SYS(ioctl), {equals_int(1, request)});
  }
}

}  // namespace

Result<void> filter_syscalls(ThreadDuty duty) {
  // What is in no rule fails; it does not end the process: a call that a library of tomorrow makes and can do without
  // must cost no incident.
  Filter filter(SCMP_ACT_ERRNO(EPERM));
  for (const int call : kAllowed) {
    filter.allow(call);
  }
  allow_by_argument(filter);
  switch (duty) {
    case ThreadDuty::kServe:
      break;
    case ThreadDuty::kCollect:
      allow_hooks(filter, false);
      break;
    case ThreadDuty::kCollectKprobes:
      allow_hooks(filter, true);
      break;
  }
  // Apart, since a filter logs all that it refuses, and libc tries clone3 for each thread; second, since of two that
  // refuse the kernel asks the younger whether to log.
  Filter alarm(SCMP_ACT_ALLOW);
  alarm.log();
  for (const int call : kAlarming) {
    alarm.refuse(call);
  }
  auto loaded = filter.load();
  return loaded ? alarm.load() : loaded;
}

}  // namespace memcrest
