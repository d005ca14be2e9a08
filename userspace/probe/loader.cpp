// SPDX-License-Identifier: Apache-2.0
#include "probe/loader.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>

#include "memcrest.skel.h"
#include "memcrest_plain.skel.h"
#include "util/fd.h"

namespace memcrest {
namespace {

constexpr const char* kInit = "on_init";

struct SkeletonDeleter {
  void operator()(memcrest_bpf* skeleton) const { memcrest_bpf::destroy(skeleton); }
};
using Skeleton = std::unique_ptr<memcrest_bpf, SkeletonDeleter>;

struct LinkDeleter {
  void operator()(bpf_link* link) const { bpf_link__destroy(link); }
};
using Link = std::unique_ptr<bpf_link, LinkDeleter>;

// What libbpf warned of first since this was cleared: the kernel's reason, kept for the error that we return. What
// follows only says that therefore the program, the object and the skeleton could not be loaded.
std::string& first_warning() {
  thread_local std::string text;
  return text;
}

int keep_warning(libbpf_print_level level, const char* format, va_list arguments) {
  if (level != LIBBPF_WARN || !first_warning().empty()) {
    return 0;
  }
  char line[1024];
  const int length = vsnprintf(line, sizeof(line), format, arguments);
  if (length > 0) {
    std::string& text = first_warning();
    text.assign(line, std::min<std::size_t>(static_cast<std::size_t>(length), sizeof(line) - 1));
    while (!text.empty() && text.back() == '\n') {
      text.pop_back();
    }
  }
  return 0;
}

// The program that try_charge would pay for on every page: attached by tend() only.
bool is_attached_late(const Hook& hook) { return hook.role == "failure" || hook.role == "failure_begin"; }

// The object without kernel functions has the same maps and programs: the same skeleton fits.
memcrest_bpf* open_plain(const bpf_object_open_opts& options) {
  auto* skeleton = static_cast<memcrest_bpf*>(std::calloc(1, sizeof(memcrest_bpf)));
  if (skeleton == nullptr || memcrest_bpf__create_skeleton(skeleton) != 0) {
    std::free(skeleton);
    return nullptr;
  }
  std::size_t size = 0;
  skeleton->skeleton->data = memcrest_plain_bpf__elf_bytes(&size);
  skeleton->skeleton->data_sz = size;
  if (bpf_object__open_skeleton(skeleton->skeleton, &options) != 0) {
    const int code = errno;
    memcrest_bpf::destroy(skeleton);
    errno = code;
    return nullptr;
  }
  return skeleton;
}

Result<Skeleton> open_skeleton(const LoadSettings& settings, const Features& features) {
  LIBBPF_OPTS(bpf_object_open_opts, options,
              .btf_custom_path = features.btf_file.empty() ? nullptr : features.btf_file.c_str());
  // Kernels before 5.16 refuse a program for a kernel function that they lack, called or not.
  Skeleton skeleton(features.rdonly_cast ? memcrest_bpf::open(&options) : open_plain(options));
  if (!skeleton) {
    return fail_errno("open BPF object", "");
  }
  const auto page = static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
  auto* knobs = skeleton->rodata;
  knobs->page_shift = static_cast<std::uint32_t>(std::countr_zero(page));
  knobs->floor_pages = std::max<std::uint64_t>((1U << 20U) / page, 1);
  knobs->step_pages = settings.step_bytes ? std::max<std::uint64_t>(*settings.step_bytes / page, 1) : 0;
  knobs->max_steps_per_window = settings.max_steps_per_window;
  knobs->bulk_wake_bytes = static_cast<std::uint32_t>(std::min<std::size_t>(settings.bulk_ring_bytes / 8, 256U << 10U));
  knobs->have_rdonly_cast = features.rdonly_cast;
  knobs->have_preempt_off = features.preempt_off;
  knobs->typed_loads_only = features.typed_loads_only;
  knobs->mark_victim_pid = features.lower.mark_victim_pid;
  knobs->lru_owner_is_objcg = features.objcg_pages;
  knobs->capture_stacks = settings.stacks;
  knobs->count_charges = settings.count_charges;
  knobs->copy_stacks = settings.copy_stacks && features.stack_copies;
  bpf_map__set_autocreate(skeleton->maps.copies, knobs->copy_stacks);
  knobs->use_lines = settings.breakpoints;
  bpf_map__set_autocreate(skeleton->maps.lines, knobs->use_lines);
  bpf_map__set_autocreate(skeleton->maps.hits, knobs->use_lines);
  // A ring is made of whole pages, and those of arm64 may be larger than 4 KiB.
  const auto ring = [&](std::size_t bytes) { return static_cast<std::uint32_t>(std::max<std::size_t>(bytes, page)); };
  bpf_map__set_max_entries(skeleton->maps.critical, ring(settings.critical_ring_bytes));
  bpf_map__set_max_entries(skeleton->maps.bulk, ring(settings.bulk_ring_bytes));
  // Where a map that grows inside a hook takes memory from the very allocator that is being traced, the kernel warns.
  if (!features.safe_map_allocation) {
    bpf_map__set_map_flags(skeleton->maps.entries, 0);
  }
  for (const Hook& hook : features.hooks) {
    if (hook.targets.size() > 1 && hook.kind.starts_with("f") && features.runs(hook.program)) {
      bpf_program* program = bpf_object__find_program_by_name(skeleton->obj, hook.program.c_str());
      if (program == nullptr || bpf_program__set_attach_target(program, 0, hook.target.c_str()) != 0) {
        return fail_errno("set the target of a BPF program", hook.program);
      }
    }
  }
  return skeleton;
}

template <typename Want>
int load_with(memcrest_bpf& skeleton, Want want) {
  bpf_program* program = nullptr;
  bpf_object__for_each_program(program, skeleton.obj) {
    const std::string name = bpf_program__name(program);
    bpf_program__set_autoload(program, name == kInit || want(name));
  }
  return memcrest_bpf::load(&skeleton);
}

// Which programs load on their own; the others are marked in `features`. Runs only after a load of all has failed.
Result<bool> find_refused(const LoadSettings& settings, Features& features) {
  bool any = false;
  for (Hook& hook : features.hooks) {
    if (!features.runs(hook.program)) {
      continue;
    }
    auto skeleton = open_skeleton(settings, features);
    if (!skeleton) {
      return std::unexpected(skeleton.error());
    }
    first_warning().clear();
    const int error = load_with(**skeleton, [&](const std::string& name) { return name == hook.program; });
    if (error != 0) {
      hook.state = HookState::kRefused;
      hook.reason = "load: " + errno_text(-error) + " " + first_warning();
      any = true;
    }
  }
  return any;
}

// Before 5.11 maps count against RLIMIT_MEMLOCK, and the kernel says EPERM when that is too small. Empty: it is not.
std::string why_no_memory(const LoadSettings& settings, const Features& features) {
  rlimit limit{};
  if (holds(features.capabilities, "CAP_SYS_RESOURCE") || getrlimit(RLIMIT_MEMLOCK, &limit) != 0 ||
      limit.rlim_cur == RLIM_INFINITY) {
    return {};
  }
  const auto bytes = static_cast<std::uint32_t>(settings.critical_ring_bytes + settings.bulk_ring_bytes);
  const Fd ring(bpf_map_create(BPF_MAP_TYPE_RINGBUF, "memcrest_probe", 0, 0, std::bit_ceil(bytes), nullptr));
  if (!ring && errno == EPERM) {
    return "before Linux 5.11 BPF maps count as locked memory, of which " + std::to_string(limit.rlim_cur / 1024) +
           " KiB are allowed: raise it (ulimit -l unlimited) or give CAP_SYS_RESOURCE";
  }
  return {};
}

template <typename Value>
void sum_per_cpu(int map, std::uint32_t key, Value& into) {
  const int cpus = libbpf_num_possible_cpus();
  if (cpus <= 0) {
    return;
  }
  std::vector<Value> values(static_cast<std::size_t>(cpus));
  if (bpf_map_lookup_elem(map, &key, values.data()) != 0) {
    return;
  }
  constexpr std::size_t kFields = sizeof(Value) / sizeof(std::uint64_t);
  auto* total = reinterpret_cast<std::uint64_t*>(&into);
  for (const Value& value : values) {
    const auto* field = reinterpret_cast<const std::uint64_t*>(&value);
    for (std::size_t i = 0; i < kFields; ++i) {
      total[i] += field[i];
    }
  }
}

}  // namespace

struct LoadedProbe::Impl {
  Skeleton skeleton;
  std::map<std::string, Link> links;  // by program
  LoadSettings settings;
  // The programs that follow failed charges, in the order of attaching; and while they are attached, their links.
  std::vector<Hook> failure;
  std::vector<Link> failure_links;
  std::uint64_t failures_since_ns = 0;
  std::uint64_t limit_hits = 0;
  std::uint64_t last_hit_ns = 0;

  // errno is set when the link is null.
  [[nodiscard]] Link attach(const Hook& hook) const;
};

LoadedProbe::LoadedProbe(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
LoadedProbe::~LoadedProbe() = default;

Link LoadedProbe::Impl::attach(const Hook& hook) const {
  bpf_program* program = bpf_object__find_program_by_name(skeleton->obj, hook.program.c_str());
  if (program == nullptr) {
    errno = ENOENT;
    return nullptr;
  }
  if (hook.kind == "kprobe" || hook.kind == "kretprobe") {
    return Link(bpf_program__attach_kprobe(program, hook.kind == "kretprobe", hook.target.c_str()));
  }
  return Link(bpf_program__attach(program));
}

Result<std::unique_ptr<LoadedProbe>> LoadedProbe::load(const LoadSettings& settings, Features& features) {
  libbpf_set_print(keep_warning);
  constexpr int kRounds = 8;  // each lowers the ladder by what was refused
  for (int round = 0; round < kRounds; ++round) {
    if (auto chosen = choose_tiers(features, settings.tiers); !chosen) {
      return std::unexpected(chosen.error());
    }
    if (features.programs.empty()) {
      return std::unique_ptr<LoadedProbe>();
    }
    auto skeleton = open_skeleton(settings, features);
    if (!skeleton) {
      return std::unexpected(skeleton.error());
    }
    first_warning().clear();
    const int error = load_with(**skeleton, [&](const std::string& name) { return features.runs(name); });
    if (error == 0) {
      LIBBPF_OPTS(bpf_test_run_opts, run);
      const int init = bpf_prog_test_run_opts(bpf_program__fd((*skeleton)->progs.on_init), &run);
      if (init != 0 || run.retval != 0 || (*skeleton)->bss->memory_subsystem == 0) {
        return fail("find the memory controller", "", init != 0 ? -init : ENODEV, "is it compiled in and enabled?");
      }
      auto impl = std::make_unique<Impl>();
      impl->skeleton = std::move(*skeleton);
      impl->settings = settings;
      return std::unique_ptr<LoadedProbe>(new LoadedProbe(std::move(impl)));
    }
    if (const std::string why = why_no_memory(settings, features); error == -EPERM && !why.empty()) {
      return fail("load BPF programs", "", EPERM, why);
    }
    const std::string why = first_warning();
    const auto refused = find_refused(settings, features);
    if (!refused) {
      return std::unexpected(refused.error());
    }
    // Each loads on its own: it is not a program that is refused.
    if (!*refused || round == kRounds - 1) {
      return fail("load BPF programs", "", -error, why);
    }
  }
  return fail("load BPF programs", "", EINVAL);
}

Result<void> LoadedProbe::attach(Features& features) {
  const auto is_lifecycle = [](const Hook& hook) {
    return hook.role == "mkdir" || hook.role == "rmdir" || hook.role == "exec" || hook.role == "exit";
  };
  for (const bool lifecycle : {true, false}) {
    for (Hook& hook : features.hooks) {
      if (!features.runs(hook.program) || is_lifecycle(hook) != lifecycle) {
        continue;
      }
      if (is_attached_late(hook)) {
        impl_->failure.push_back(hook);
        continue;
      }
      if (Link link = impl_->attach(hook)) {
        impl_->links[hook.program] = std::move(link);
        continue;
      }
      hook.state = HookState::kRefused;
      hook.reason = "attach: " + errno_text(errno);
    }
  }
  // A tier may only be made of what runs: programs left out at load cannot step in now.
  for (Hook& hook : features.hooks) {
    if (hook.state == HookState::kAvailable && !features.runs(hook.program)) {
      hook.state = HookState::kMissing;
      hook.reason = "not needed by the tier chosen";
    }
  }
  if (impl_->links.empty()) {
    return fail("attach BPF programs", "", EPERM, "none could be attached");
  }
  auto chosen = choose_tiers(features, impl_->settings.tiers);
  // Half of a tier that did not come about would tell beside the one that did.
  std::erase_if(impl_->links, [&](const auto& one) { return !features.runs(one.first); });
  return chosen;
}

void LoadedProbe::tend(std::uint64_t now_ns) {
  constexpr std::uint64_t kQuietNs = 30'000'000'000;
  if (impl_->failure.empty()) {
    return;
  }
  const std::uint64_t hits = *static_cast<volatile const __u64*>(&impl_->skeleton->bss->limit_hits);
  if (hits != impl_->limit_hits) {
    impl_->limit_hits = hits;
    impl_->last_hit_ns = now_ns;
    if (impl_->failure_links.empty()) {
      for (const Hook& hook : impl_->failure) {
        impl_->failure_links.push_back(impl_->attach(hook));
      }
      impl_->failures_since_ns = now_ns;
      if (std::ranges::any_of(impl_->failure_links, [](const Link& link) { return link == nullptr; })) {
        impl_->failure_links.clear();
        impl_->failure.clear();  // loaded, and does not attach: asking again would not help
      }
    }
  } else if (now_ns - impl_->last_hit_ns > kQuietNs) {
    impl_->failure_links.clear();
  }
}

std::optional<std::uint64_t> LoadedProbe::failures_since() const {
  return !impl_->failure_links.empty() ? std::optional(impl_->failures_since_ns) : std::nullopt;
}

std::optional<std::uint64_t> LoadedProbe::failures_of(std::uint64_t serial) const {
  memcrest_failure failure{};
  if (bpf_map_lookup_elem(bpf_map__fd(impl_->skeleton->maps.failures), &serial, &failure) != 0) {
    return std::nullopt;
  }
  return failure.count;
}

int LoadedProbe::lines_fd() const { return bpf_map__fd(impl_->skeleton->maps.lines); }
int LoadedProbe::hits_fd() const { return bpf_map__fd(impl_->skeleton->maps.hits); }
int LoadedProbe::slots_fd() const { return bpf_map__fd(impl_->skeleton->maps.slots); }
unsigned LoadedProbe::page_shift() const { return impl_->skeleton->rodata->page_shift; }
std::uint32_t LoadedProbe::own_tgid() const { return impl_->skeleton->bss->own_tgid; }

int LoadedProbe::critical_ring_fd() const { return bpf_map__fd(impl_->skeleton->maps.critical); }
int LoadedProbe::bulk_ring_fd() const { return bpf_map__fd(impl_->skeleton->maps.bulk); }

RecordCounters LoadedProbe::counters() const {
  RecordCounters out(MEMCREST_REC_TYPES);
  for (std::uint32_t type = 0; type < MEMCREST_REC_TYPES; ++type) {
    sum_per_cpu(bpf_map__fd(impl_->skeleton->maps.counters), type, out[type]);
  }
  return out;
}

memcrest_stats LoadedProbe::stats() const {
  memcrest_stats out{};
  sum_per_cpu(bpf_map__fd(impl_->skeleton->maps.stats), 0, out);
  return out;
}

std::optional<std::uint64_t> LoadedProbe::peak_bytes(std::uint64_t serial) const {
  memcrest_entry entry{};
  if (bpf_map_lookup_elem(bpf_map__fd(impl_->skeleton->maps.entries), &serial, &entry) != 0) {
    return std::nullopt;
  }
  std::uint64_t peak = entry.peak;
  const int cpus = libbpf_num_possible_cpus();
  std::vector<memcrest_slot> slots(static_cast<std::size_t>(std::max(cpus, 1)));
  const std::uint32_t index = memcrest_slot_index(serial);
  if (bpf_map_lookup_elem(bpf_map__fd(impl_->skeleton->maps.slots), &index, slots.data()) == 0) {
    for (const memcrest_slot& slot : slots) {
      peak = slot.serial == serial ? std::max<std::uint64_t>(peak, slot.peak) : peak;
    }
  }
  return peak << impl_->skeleton->rodata->page_shift;
}

LossCount LoadedProbe::loss() const {
  LossCount out;
  const RecordCounters all = counters();
  for (std::uint32_t type = 0; type < MEMCREST_REC_TYPES; ++type) {
    const bool bulk = type == MEMCREST_REC_STEP || type == MEMCREST_REC_EXEC || type == MEMCREST_REC_EXIT ||
                      type == MEMCREST_REC_FAILURE || type == MEMCREST_REC_STACK;
    (bulk ? out.bulk : out.critical) += all[type].dropped_full;
    out.throttled += all[type].dropped_throttle;
  }
  out.untracked = stats().table_full;
  return out;
}

Result<std::vector<ProgramCost>> measure_programs(const Features& features, const LoadSettings& settings) {
  libbpf_set_print(keep_warning);
  constexpr std::size_t kLogBytes = 1U << 20U;
  constexpr std::uint32_t kStatistics = 4;  // BPF_LOG_STATS
  constexpr std::string_view kProcessed = "processed ";
  std::vector<ProgramCost> out;
  for (const Hook& hook : features.hooks) {
    if (hook.state != HookState::kAvailable) {
      continue;
    }
    Features alone = features;
    alone.programs = {hook.program};
    auto skeleton = open_skeleton(settings, alone);
    if (!skeleton) {
      return std::unexpected(skeleton.error());
    }
    bpf_program* program = bpf_object__find_program_by_name((*skeleton)->obj, hook.program.c_str());
    std::vector<char> log(kLogBytes, '\0');
    bpf_program__set_log_level(program, kStatistics);
    bpf_program__set_log_buf(program, log.data(), log.size());
    ProgramCost cost{.program = hook.program, .instructions = 0, .error = {}};
    const int error = load_with(**skeleton, [&](const std::string& name) { return name == hook.program; });
    const std::string_view text(log.data());
    if (error != 0) {
      cost.error = errno_text(-error) + ": " + std::string(text.substr(0, 4096));
    } else if (const auto at = text.find(kProcessed); at != std::string_view::npos) {
      cost.instructions = std::strtoull(log.data() + at + kProcessed.size(), nullptr, 10);
    }
    out.push_back(std::move(cost));
  }
  return out;
}

}  // namespace memcrest
