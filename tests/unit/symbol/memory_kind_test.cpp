// SPDX-License-Identifier: Apache-2.0
#include "symbol/memory_kind.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "support/fake_cgroups.h"
#include "symbol/kind_source.h"

namespace memcrest {
namespace {

// "a < b < c" as a kernel stack, innermost first.
std::vector<std::string> stack(const std::string& text) {
  std::vector<std::string> out;
  std::istringstream words(text);
  for (std::string word; words >> word;) {
    if (word != "<") {
      out.push_back(word);
    }
  }
  return out;
}

struct Seen {
  const char* name;
  MemoryKind kind;
  const char* stack;
};

// Recorded with `hog`, on the kernels that their names tell.
const Seen kSeen[] = {
    {"anon, 6.18, lru", MemoryKind::kAnon,
     "bpf_trace_run1 < lru_add < folio_batch_move_lru < __folio_batch_add_and_move < do_anonymous_page < "
     "__handle_mm_fault < handle_mm_fault < exc_page_fault < asm_exc_page_fault"},
    {"copy on write, 6.18, lru", MemoryKind::kAnon,
     "bpf_trace_run1 < lru_add < folio_batch_move_lru < __folio_batch_add_and_move < do_wp_page < __handle_mm_fault < "
     "handle_mm_fault < exc_page_fault < asm_exc_page_fault"},
    {"THP, 6.18, seen at its page table", MemoryKind::kHugePage,
     "bpf_trace_run3 < mod_memcg_state < obj_cgroup_charge_pages < __memcg_kmem_charge_page < "
     "__alloc_frozen_pages_noprof < alloc_pages_mpol < alloc_pages_noprof < pte_alloc_one < "
     "do_huge_pmd_anonymous_page < __handle_mm_fault < handle_mm_fault < exc_page_fault < asm_exc_page_fault"},
    {"page tables, 6.18", MemoryKind::kPageTables,
     "bpf_trace_run3 < mod_memcg_state < obj_cgroup_charge_pages < __memcg_kmem_charge_page < "
     "__alloc_frozen_pages_noprof < alloc_pages_mpol < alloc_pages_noprof < pte_alloc_one < __pte_alloc < "
     "do_anonymous_page < __handle_mm_fault < handle_mm_fault < exc_page_fault < asm_exc_page_fault"},
    {"tmpfs, 6.18", MemoryKind::kShmem,
     "bpf_trace_run1 < lru_add < folio_batch_move_lru < __folio_batch_add_and_move < shmem_alloc_and_add_folio < "
     "shmem_get_folio_gfp < shmem_write_begin < generic_perform_write < shmem_file_write_iter < vfs_write < ksys_write "
     "< do_syscall_64 < entry_SYSCALL_64_after_hwframe"},
    {"tmpfs, 6.18, seen at a node of its tree", MemoryKind::kShmem,
     "bpf_trace_run3 < mod_memcg_state < obj_cgroup_charge_pages < obj_cgroup_charge_account < "
     "__memcg_slab_post_alloc_hook < kmem_cache_alloc_lru_noprof < xas_alloc < xas_create < xas_store < "
     "shmem_add_to_page_cache < shmem_alloc_and_add_folio < shmem_get_folio_gfp < shmem_write_begin < "
     "generic_perform_write < shmem_file_write_iter < vfs_write < ksys_write < do_syscall_64"},
    {"System V messages, 6.18", MemoryKind::kSlab,
     "bpf_trace_run3 < mod_memcg_state < obj_cgroup_charge_pages < obj_cgroup_charge_account < "
     "__memcg_slab_post_alloc_hook < __kmalloc_node_noprof < load_msg < do_msgsnd < do_syscall_64"},
    {"pipes, 6.18", MemoryKind::kPipes,
     "bpf_trace_run3 < mod_memcg_state < obj_cgroup_charge_pages < __memcg_kmem_charge_page < "
     "__alloc_frozen_pages_noprof < alloc_pages_mpol < alloc_pages_noprof < anon_pipe_write < vfs_write < ksys_write"},
    {"kernel stacks, 6.18", MemoryKind::kKernelStack,
     "bpf_trace_run3 < mod_memcg_state < obj_cgroup_charge_pages < __memcg_kmem_charge_page < "
     "memcg_charge_kernel_stack.part.0 < copy_process < kernel_clone < __do_sys_clone < do_syscall_64"},
    {"page tables of a child, 6.18", MemoryKind::kPageTables,
     "bpf_trace_run3 < mod_memcg_state < obj_cgroup_charge_pages < __memcg_kmem_charge_page < "
     "__alloc_frozen_pages_noprof < alloc_pages_mpol < alloc_pages_noprof < __pud_alloc < copy_page_range < dup_mmap < "
     "copy_process < kernel_clone < __do_sys_clone"},
    {"slab of a child, 6.18", MemoryKind::kSlab,
     "bpf_trace_run3 < mod_memcg_state < obj_cgroup_charge_pages < obj_cgroup_charge_account < "
     "__memcg_slab_post_alloc_hook < kmem_cache_alloc_node_noprof < copy_process < kernel_clone < __do_sys_clone"},
    {"file, 6.18", MemoryKind::kFile,
     "bpf_trace_run1 < lru_add < folio_batch_move_lru < __folio_batch_add_and_move < filemap_add_folio < "
     "page_cache_ra_order < filemap_readahead.isra.0 < filemap_get_pages < filemap_read < vfs_read < ksys_read"},
    {"BPF map, 6.18", MemoryKind::kBpf,
     "bpf_trace_run3 < mod_memcg_state < obj_cgroup_charge_pages < __memcg_kmem_charge_page < "
     "__alloc_frozen_pages_noprof < alloc_pages_mpol < alloc_pages_noprof < __vmalloc_node_range_noprof < "
     "__bpf_map_area_alloc < array_map_alloc < map_create < __sys_bpf < __x64_sys_bpf < do_syscall_64"},
    // As those kernels' sources have it.
    {"a page fault while tmpfs is written", MemoryKind::kAnon,
     "do_anonymous_page < __handle_mm_fault < handle_mm_fault < exc_page_fault < asm_exc_page_fault < "
     "fault_in_readable < generic_perform_write < shmem_write_begin"},
    {"an interrupt during a page fault", MemoryKind::kUnknown,
     "mod_memcg_state < obj_cgroup_uncharge_pages < __free_frozen_pages < tlb_remove_table_rcu < rcu_do_batch < "
     "rcu_core < handle_softirqs < __irq_exit_rcu < asm_sysvec_apic_timer_interrupt < clear_page_erms < "
     "do_huge_pmd_anonymous_page < handle_mm_fault"},
    {"percpu, 6.1", MemoryKind::kPercpu, "page_counter_try_charge < try_charge_memcg < obj_cgroup_charge < pcpu_alloc"},
    {"file, 5.10", MemoryKind::kFile,
     "try_charge < mem_cgroup_charge < __add_to_page_cache_locked < add_to_page_cache_lru"},
    {"sockets", MemoryKind::kSockets,
     "page_counter_try_charge < try_charge_memcg < mem_cgroup_charge_skmem < __sk_mem_raise_allocated < tcp_sendmsg"},
    {"what nobody knows", MemoryKind::kUnknown, "try_charge < some_driver_ioctl < do_syscall_64"},
};

TEST(MemoryKind, OfStacksThatWereSeen) {
  for (const Seen& one : kSeen) {
    EXPECT_EQ(kind_of(stack(one.stack)), one.kind) << one.name;
  }
  EXPECT_EQ(kind_of({}), MemoryKind::kUnknown);
  EXPECT_EQ(kind_of({"", ""}), MemoryKind::kUnknown);
}

TEST(MemoryKind, SuffixesOfCompilersDoNotMatter) {
  EXPECT_EQ(kind_rule("do_anonymous_page.constprop.0")->kind, MemoryKind::kAnon);
  EXPECT_EQ(kind_rule("pcpu_alloc_noprof")->kind, MemoryKind::kPercpu);
  EXPECT_FALSE(kind_rule("do_anonymous_pages_of_mine"));
}

class WithKallsyms : public ::testing::Test {
 protected:
  KernelKinds read(const std::string& text) {
    std::ofstream(dir_.path() + "/kallsyms") << text;
    return KernelKinds::read(dir_.path());
  }
  testing_support::TempDir dir_;
};

TEST_F(WithKallsyms, AddressesAreLookedUpInTheRunningKernel) {
  const KernelKinds kinds = read(
      "ffffffff81000000 T _stext\n"
      "ffffffff81000100 T do_anonymous_page\n"
      "ffffffff81000200 T next\n"
      "ffffffff81000300 t shmem_get_folio_gfp.isra.0\n"
      "ffffffff81000300 t alias\n"
      "ffffffff81000400 T _etext\n"
      "ffffffffc0000100 t do_swap_page\t[module]\n"
      "damaged\n");
  const auto kind = [&](std::vector<std::uint64_t> addresses) { return kinds.kind_of(addresses); };
  EXPECT_EQ(kind({0xffffffff81000100}), MemoryKind::kAnon);
  EXPECT_EQ(kind({0xffffffff81000200}), MemoryKind::kUnknown);
  EXPECT_EQ(kind({0xffffffff81000000, 0xffffffff81000200}), MemoryKind::kAnon) << "a return address behind the end";
  EXPECT_EQ(kind({0xffffffff81000110, 0xffffffff81000310}), MemoryKind::kShmem);
  EXPECT_EQ(kind({0xffffffffc0000110}), MemoryKind::kUnknown);
  EXPECT_EQ(kind({0, ~0ULL, 1}), MemoryKind::kUnknown);
  EXPECT_EQ(kind({}), MemoryKind::kUnknown);
}

TEST_F(WithKallsyms, HiddenAddressesTellNothing) {
  const KernelKinds kinds = read("0000000000000000 T do_anonymous_page\n0000000000000000 T next\n");
  EXPECT_TRUE(kinds.empty());
  EXPECT_EQ(kinds.kind_of(std::vector<std::uint64_t>{0, 1}), MemoryKind::kUnknown);
}

// Hands out what it was given, once.
class Given final : public EventSource {
 public:
  explicit Given(std::vector<Event> events) : events_(std::move(events)) {}
  Status poll(std::chrono::milliseconds /*timeout*/, std::vector<Event>& out) override {
    out.insert(out.end(), events_.begin(), events_.end());
    events_.clear();
    return Status::kEnd;
  }
  [[nodiscard]] LossCount loss() const override { return {}; }

 private:
  std::vector<Event> events_;
};

TEST_F(WithKallsyms, ThePageTableThatComesWithPagesIsNoKindOfItsOwn) {
  const KernelKinds kinds = read(
      "ffffffff81000000 T _stext\nffffffff81000100 T do_anonymous_page\nffffffff81000200 T pte_alloc_one\n"
      "ffffffff81000300 T handle_mm_fault\nffffffff81000400 T handle_softirqs\nffffffff81000500 T load_msg\n"
      "ffffffff81000600 T _etext\n");
  const std::vector<std::uint64_t> anon{0xffffffff81000110, 0xffffffff81000310};
  const std::vector<std::uint64_t> table{0xffffffff81000210, 0xffffffff81000110, 0xffffffff81000310};
  const std::vector<std::uint64_t> interrupt{0xffffffff81000510, 0xffffffff81000410, 0xffffffff81000110,
                                             0xffffffff81000310};
  std::vector<Event> events;
  for (const auto& stack : {table, table, anon, table, table, anon, interrupt}) {
    StepEvent step;
    step.up = true;
    step.kernel_stack = stack;
    step.user_stack = {events.size()};  // another place each time
    events.emplace_back(step);
  }
  std::vector<std::uint64_t> places;
  const auto kinds_seen = [&](bool batched) {
    Given given(events);
    KindSource source(given, kinds, batched);
    std::vector<Event> out;
    EXPECT_EQ(source.poll(std::chrono::milliseconds(0), out), EventSource::Status::kEnd);
    std::vector<MemoryKind> seen;
    places.clear();
    for (const Event& one : out) {
      seen.push_back(std::get<StepEvent>(one).kind);
      places.push_back(std::get<StepEvent>(one).user_stack.at(0));
    }
    return seen;
  };
  using enum MemoryKind;
  EXPECT_THAT(kinds_seen(true),
              testing::ElementsAre(kPageTables, kPageTables, kAnon, kAnon, kPageTables, kAnon, kAnon));
  EXPECT_THAT(places, testing::ElementsAre(0, 1, 2, 2, 4, 5, 6)) << "what grew is where the pages came from";
  EXPECT_THAT(kinds_seen(false),
              testing::ElementsAre(kPageTables, kPageTables, kAnon, kPageTables, kPageTables, kAnon, kUnknown));
  EXPECT_THAT(places, testing::ElementsAre(0, 1, 2, 3, 4, 5, 6));
}

}  // namespace
}  // namespace memcrest
