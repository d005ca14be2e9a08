// SPDX-License-Identifier: Apache-2.0
// A record that a writer has begun and not ended, in the real ring of the real probe: what is written behind it is told
// with it, and a writer that never ends holds up nothing for ever. Needs root.
#include <bpf/bpf.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/bpf.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <thread>

#include "probe/ring_source.h"
#include "util/fd.h"

namespace memcrest {
namespace {

using namespace std::chrono_literals;

constexpr bpf_insn insn(int code, int dst, int src, int off, int imm) {
  return {.code = static_cast<__u8>(code),
          .dst_reg = static_cast<__u8>(dst & 15),
          .src_reg = static_cast<__u8>(src & 15),
          .off = static_cast<__s16>(off),
          .imm = imm};
}

// Begins a record, reads from an address of the caller's, ends the record: as long as the read takes.
Result<Fd> load_writer(int ring_fd) {
  constexpr int kMove = BPF_ALU64 | BPF_MOV;
  constexpr int kCall = BPF_JMP | BPF_CALL;
  const std::array program{
      insn(kMove | BPF_X, 6, 1, 0, 0),
      insn(BPF_LD | BPF_DW | BPF_IMM, 1, BPF_PSEUDO_MAP_FD, 0, ring_fd),
      insn(0, 0, 0, 0, 0),
      insn(kMove | BPF_K, 2, 0, 0, 8),
      insn(kMove | BPF_K, 3, 0, 0, 0),
      insn(kCall, 0, 0, 0, BPF_FUNC_ringbuf_reserve),
      insn(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 10, 0),
      insn(kMove | BPF_X, 7, 0, 0, 0),
      insn(BPF_ST | BPF_DW | BPF_MEM, 7, 0, 0, 0),
      insn(kMove | BPF_X, 1, 10, 0, 0),
      insn(BPF_ALU64 | BPF_ADD | BPF_K, 1, 0, 0, -8),
      insn(kMove | BPF_K, 2, 0, 0, 8),
      insn(BPF_LDX | BPF_DW | BPF_MEM, 3, 6, 0, 0),
      insn(kCall, 0, 0, 0, BPF_FUNC_copy_from_user),
      insn(kMove | BPF_X, 1, 7, 0, 0),
      insn(kMove | BPF_K, 2, 0, 0, 0),
      insn(kCall, 0, 0, 0, BPF_FUNC_ringbuf_submit),
      insn(kMove | BPF_K, 0, 0, 0, 0),
      insn(BPF_JMP | BPF_EXIT, 0, 0, 0, 0),
  };
  LIBBPF_OPTS(bpf_prog_load_opts, options, .prog_flags = BPF_F_SLEEPABLE);
  const int fd = bpf_prog_load(BPF_PROG_TYPE_SYSCALL, "slow_writer", "GPL", program.data(), program.size(), &options);
  return fd < 0 ? Result<Fd>(fail("load", "slow_writer", -fd)) : Result<Fd>(Fd(fd));
}

void write_record(int program, const void* from) {
  auto address = reinterpret_cast<std::uint64_t>(from);
  LIBBPF_OPTS(bpf_test_run_opts, options, .ctx_in = &address, .ctx_size_in = sizeof(address));
  EXPECT_EQ(bpf_prog_test_run_opts(program, &options), 0);
}

// A page that whoever touches waits for, until it is filled.
class SlowPage {
 public:
  bool open() {
    size_ = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    fd_ = Fd(static_cast<int>(::syscall(SYS_userfaultfd, O_CLOEXEC)));
    uffdio_api api{.api = UFFD_API, .features = 0, .ioctls = 0};
    if (!fd_ || ::ioctl(fd_.get(), UFFDIO_API, &api) != 0) {
      return false;
    }
    page_ = ::mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    uffdio_register range{
        .range = {reinterpret_cast<std::uint64_t>(page_), size_}, .mode = UFFDIO_REGISTER_MODE_MISSING, .ioctls = 0};
    return page_ != MAP_FAILED && ::ioctl(fd_.get(), UFFDIO_REGISTER, &range) == 0;
  }
  ~SlowPage() {
    if (page_ != MAP_FAILED) {
      ::munmap(page_, size_);
    }
  }
  [[nodiscard]] const void* at() const { return page_; }
  // Until somebody waits for it.
  void wait_for_reader() const {
    uffd_msg message{};
    ASSERT_EQ(::read(fd_.get(), &message, sizeof(message)), static_cast<ssize_t>(sizeof(message)));
  }
  void fill() const {
    uffdio_zeropage zero{.range = {reinterpret_cast<std::uint64_t>(page_), size_}, .mode = 0, .zeropage = 0};
    EXPECT_EQ(::ioctl(fd_.get(), UFFDIO_ZEROPAGE, &zero), 0);
  }

 private:
  Fd fd_;
  void* page_ = MAP_FAILED;
  std::size_t size_ = 0;
};

class RingSourceTest : public testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) {
      GTEST_SKIP() << "needs root";
    }
    Features features = probe_features(SystemRoot{});
    auto probe = LoadedProbe::load({}, features);
    ASSERT_TRUE(probe) << probe.error().message();
    if (!*probe) {
      GTEST_SKIP() << "this kernel takes none of the programs";
    }
    auto writer = load_writer((*probe)->bulk_ring_fd());
    if (!writer || !page_.open()) {
      GTEST_SKIP() << "this kernel lets no writer wait";
    }
    writer_ = std::move(*writer);
    auto source = RingSource::open(std::move(*probe), {}, clock_);
    ASSERT_TRUE(source) << source.error().message();
    source_ = std::move(*source);
  }

  // Neither attached nor decodable: what is written is only counted.
  std::uint64_t told() {
    std::vector<Event> events;
    ignore_result(source_->poll(0ms, events));
    return source_->loss().invalid;
  }

  SystemClock clock_;
  SlowPage page_;
  Fd writer_;
  std::unique_ptr<RingSource> source_;
};

TEST_F(RingSourceTest, ABegunRecordIsWaitedForAndWhatLiesBehindComesWithIt) {
  std::thread slow([&] { write_record(writer_.get(), page_.at()); });
  page_.wait_for_reader();
  write_record(writer_.get(), nullptr);
  std::thread later([&] {
    std::this_thread::sleep_for(50ms);
    page_.fill();
  });
  EXPECT_EQ(told(), 2U);
  later.join();
  slow.join();
}

TEST_F(RingSourceTest, AWriterThatDoesNotEndHoldsUpNothingForEver) {
  std::thread slow([&] { write_record(writer_.get(), page_.at()); });
  page_.wait_for_reader();
  EXPECT_EQ(told(), 0U) << "nothing can be read";
  EXPECT_EQ(told(), 0U) << "and it is not waited for again";
  page_.fill();
  slow.join();
  write_record(writer_.get(), nullptr);
  EXPECT_EQ(told(), 2U);
}

}  // namespace
}  // namespace memcrest
