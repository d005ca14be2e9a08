// SPDX-License-Identifier: Apache-2.0
#include "symbol/memory_kind.h"

#include <algorithm>
#include <iterator>
#include <unordered_map>

#include "util/kernel_symbols.h"

namespace memcrest {
namespace {

// How much a function says. kLast speaks where nothing else does: compilers inline the functions that would.
constexpr int kLast = 1;
constexpr int kMeans = 2;     // how it was allocated
constexpr int kPercpuOf = 3;  // means as well, made of the ones above
constexpr int kPurpose = 4;   // what for
constexpr int kOwner = 5;     // for whom, whatever the means

struct Entry {
  std::string_view name;  // "x*": all that begin with x
  MemoryKind kind;
  int weight;
};

using enum MemoryKind;
constexpr Entry kTable[] = {
    // Page faults. do_anonymous_page and the copying ones are inlined into their callers by some compilers.
    {"do_anonymous_page", kAnon, kMeans},
    {"do_wp_page", kAnon, kMeans},
    {"wp_page_copy", kAnon, kMeans},
    {"do_cow_fault", kAnon, kMeans},
    {"do_swap_page", kAnon, kMeans},
    {"copy_present_page*", kAnon, kMeans},
    {"mfill_atomic*", kAnon, kMeans},
    {"do_fault", kAnon, kLast},
    {"handle_pte_fault", kAnon, kLast},
    {"__handle_mm_fault", kAnon, kLast},
    {"handle_mm_fault", kAnon, kLast},
    {"do_huge_pmd_anonymous_page", kHugePage, kPurpose},
    {"__do_huge_pmd_anonymous_page", kHugePage, kPurpose},
    {"vma_alloc_anon_folio_pmd", kHugePage, kPurpose},
    {"do_huge_pmd_wp_page", kHugePage, kPurpose},
    {"do_huge_zero_wp_pmd", kHugePage, kPurpose},
    {"collapse_huge_page", kHugePage, kPurpose},
    // Files. add_to_page_cache_lru until 5.15, filemap_add_folio since; tmpfs takes its own way.
    {"filemap_add_folio", kFile, kPurpose},
    {"add_to_page_cache_lru", kFile, kPurpose},
    {"shmem_get_folio_gfp", kShmem, kPurpose},
    {"shmem_getpage_gfp", kShmem, kPurpose},
    {"shmem_alloc_and_add_folio", kShmem, kPurpose},
    {"shmem_add_to_page_cache", kShmem, kPurpose},
    {"shmem_swapin_folio", kShmem, kPurpose},
    {"shmem_mfill_atomic_pte", kShmem, kPurpose},
    {"hugetlb_fault", kHugetlb, kPurpose},
    {"hugetlb_no_page", kHugetlb, kPurpose},
    {"alloc_hugetlb_folio", kHugetlb, kPurpose},
    {"alloc_huge_page", kHugetlb, kPurpose},
    {"mem_cgroup_charge_hugetlb", kHugetlb, kPurpose},
    {"mem_cgroup_hugetlb_try_charge", kHugetlb, kPurpose},
    // Page tables
    {"__pte_alloc", kPageTables, kMeans},
    {"pte_alloc_one", kPageTables, kMeans},
    {"__pmd_alloc", kPageTables, kMeans},
    {"__pud_alloc", kPageTables, kMeans},
    {"__p4d_alloc", kPageTables, kMeans},
    {"pgd_alloc", kPageTables, kMeans},
    // Kernel stacks
    {"memcg_charge_kernel_stack", kKernelStack, kPurpose},
    {"account_kernel_stack", kKernelStack, kPurpose},
    {"alloc_thread_stack_node", kKernelStack, kPurpose},
    {"dup_task_struct", kKernelStack, kLast},
    {"copy_process", kKernelStack, kLast},
    // Sockets
    {"sk_page_frag_refill", kSockets, kPurpose},
    {"skb_page_frag_refill", kSockets, kPurpose},
    {"__alloc_skb", kSockets, kPurpose},
    {"alloc_skb_with_frags", kSockets, kPurpose},
    {"sock_alloc_send_pskb", kSockets, kPurpose},
    {"mem_cgroup_charge_skmem", kSockets, kPurpose},
    {"mem_cgroup_sk_charge", kSockets, kPurpose},
    {"__sk_mem_raise_allocated", kSockets, kPurpose},
    {"__sk_mem_schedule", kSockets, kPurpose},
    {"sk_forced_mem_schedule", kSockets, kPurpose},
    {"sk_prot_alloc", kSockets, kPurpose},
    {"sock_alloc_inode", kSockets, kPurpose},
    // Pipes
    {"anon_pipe_write", kPipes, kPurpose},
    {"pipe_write", kPipes, kPurpose},
    {"alloc_pipe_info", kPipes, kPurpose},
    {"pipe_resize_ring", kPipes, kPurpose},
    {"pipe_set_size", kPipes, kPurpose},
    // By their means alone
    {"pcpu_alloc", kPercpu, kPercpuOf},
    {"__vmalloc_node_range", kVmalloc, kMeans},
    {"__vmalloc_area_node", kVmalloc, kMeans},
    {"__vmalloc_node", kVmalloc, kMeans},
    {"kmem_cache_alloc*", kSlab, kMeans},
    {"__kmem_cache_alloc*", kSlab, kMeans},
    {"__kmalloc*", kSlab, kMeans},
    {"___kmalloc*", kSlab, kMeans},
    {"kmalloc_*", kSlab, kMeans},
    {"__memcg_slab_post_alloc_hook", kSlab, kMeans},
    {"slab_post_alloc_hook", kSlab, kMeans},
    {"memcg_slab_post_alloc_hook", kSlab, kMeans},
    {"allocate_slab", kSlab, kMeans},
    {"new_slab", kSlab, kMeans},
    // BPF, by whatever means: maps, programs, ring buffers
    {"map_create", kBpf, kOwner},
    {"__bpf_map_area_alloc", kBpf, kOwner},
    {"bpf_map_area_alloc", kBpf, kOwner},
    {"bpf_map_kmalloc_node", kBpf, kOwner},
    {"bpf_map_kzalloc", kBpf, kOwner},
    {"bpf_map_alloc_percpu", kBpf, kOwner},
    {"bpf_map_alloc_pages", kBpf, kOwner},
    {"bpf_prog_load", kBpf, kOwner},
    {"bpf_prog_alloc*", kBpf, kOwner},
    {"__bpf_prog_alloc*", kBpf, kOwner},
    {"bpf_mem_alloc*", kBpf, kOwner},
};

constexpr std::string_view kBoundaries[] = {"handle_mm_fault",           "handle_softirqs", "__do_softirq",
                                            "__softirqentry_text_start", "__irq_exit_rcu",  "irq_exit_rcu",
                                            "asm_exc_page_fault",        "asm_sysvec_*",    "asm_common_interrupt"};

bool fits(std::string_view pattern, std::string_view name) {
  return pattern.ends_with('*') ? name.starts_with(pattern.substr(0, pattern.size() - 1)) : name == pattern;
}

std::string_view bare(std::string_view name) {
  name = name.substr(0, name.find('.'));
  constexpr std::string_view kNoProfile = "_noprof";
  return name.ends_with(kNoProfile) ? name.substr(0, name.size() - kNoProfile.size()) : name;
}

// Weighs the frames of a stack, innermost first.
class Judge {
 public:
  explicit Judge(bool through_interrupts) : through_interrupts_(through_interrupts) {}

  // False: nothing further out counts.
  bool take(const KindRule& rule) {
    if (rule.weight > best_.weight) {
      best_ = rule;
    }
    page_fault_ = page_fault_ || rule.page_fault;
    return !rule.boundary || (through_interrupts_ && !rule.page_fault && best_.weight == 0);
  }
  [[nodiscard]] bool page_fault() const { return page_fault_; }
  [[nodiscard]] MemoryKind kind() const { return best_.kind; }

 private:
  KindRule best_;
  bool through_interrupts_;
  bool page_fault_ = false;
};

}  // namespace

std::optional<KindRule> kind_rule(std::string_view function) {
  // Asked for each of the kernel's functions: those that are named whole are found at once.
  static const auto whole = [] {
    std::unordered_map<std::string_view, const Entry*> out;
    for (const Entry& one : kTable) {
      out.emplace(one.name, &one);
    }
    return out;
  }();
  const std::string_view name = bare(function);
  KindRule out;
  out.boundary = std::ranges::any_of(kBoundaries, [&](std::string_view one) { return fits(one, name); });
  out.page_fault = name == "handle_mm_fault";
  const auto found = whole.find(name);
  const Entry* entry = found == whole.end() ? nullptr : found->second;
  for (const Entry& one : kTable) {
    entry = entry == nullptr && one.name.ends_with('*') && fits(one.name, name) ? &one : entry;
  }
  if (entry != nullptr) {
    out.kind = entry->kind;
    out.weight = entry->weight;
  }
  return out.boundary || out.weight > 0 ? std::optional(out) : std::nullopt;
}

MemoryKind kind_of(const std::vector<std::string>& functions) {
  Judge judge(false);
  for (const std::string& function : functions) {
    if (const auto rule = kind_rule(function); rule && !judge.take(*rule)) {
      break;
    }
  }
  return judge.kind();
}

KernelKinds KernelKinds::read(const std::string& proc_root) {
  KernelKinds out;
  std::optional<Range> open;
  for_each_kernel_symbol(proc_root, [&](const KernelSymbol& symbol) {
    if (symbol.in_module) {
      return;
    }
    // The next higher symbol ends a function. Several may begin at one address: the first that says something counts.
    if (open && symbol.address > open->begin) {
      open->end = symbol.address;
      out.ranges_.push_back(*open);
      open.reset();
    }
    if (const auto rule = open ? std::nullopt : kind_rule(symbol.name)) {
      open = Range{symbol.address, symbol.address, *rule};
    }
  });
  std::ranges::sort(out.ranges_, {}, &Range::begin);
  return out;
}

KernelKinds::Judged KernelKinds::judge(std::span<const std::uint64_t> stack, bool through_interrupts) const {
  Judge judge(through_interrupts);
  for (std::size_t i = 0; i < stack.size(); ++i) {
    // A return address may lie behind the end of a function that never goes on after its last call.
    const std::uint64_t address = stack[i] - (i > 0 && stack[i] > 0 ? 1 : 0);
    const auto after = std::ranges::upper_bound(ranges_, address, {}, &Range::begin);
    if (after == ranges_.begin() || address >= std::prev(after)->end) {
      continue;
    }
    if (!judge.take(std::prev(after)->rule)) {
      break;
    }
  }
  return {judge.kind(), judge.page_fault()};
}

}  // namespace memcrest
