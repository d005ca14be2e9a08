// SPDX-License-Identifier: Apache-2.0
#include "probe/loader.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <string>

#include "memcrest.skel.h"

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

// libbpf's own last warning: the verifier's reason, kept for the error that we return.
std::string& last_warning() {
  thread_local std::string text;
  return text;
}

int keep_warning(libbpf_print_level level, const char* format, va_list arguments) {
  if (level != LIBBPF_WARN) {
    return 0;
  }
  char line[1024];
  const int length = vsnprintf(line, sizeof(line), format, arguments);
  if (length > 0) {
    std::string& text = last_warning();
    text.assign(line, std::min<std::size_t>(static_cast<std::size_t>(length), sizeof(line) - 1));
    while (!text.empty() && text.back() == '\n') {
      text.pop_back();
    }
  }
  return 0;
}

bool wanted(const Features& features, const std::string& program, const LoadSettings& settings) {
  if (std::ranges::find(settings.disabled, program) != settings.disabled.end()) {
    return false;
  }
  const auto in = [&](const Tier& tier) { return std::ranges::find(tier.programs, program) != tier.programs.end(); };
  const Hook* hook = features.hook(program);
  if (hook == nullptr || hook->state != HookState::kAvailable) {
    return false;
  }
  const bool belongs_to_ladder = program.starts_with("on_page_counter") || program.starts_with("on_mm_") ||
                                 program.starts_with("on_mod_") || program == "on_oom_kill_process";
  return !belongs_to_ladder || in(features.charge) || in(features.oom);
}

Result<Skeleton> open_skeleton(const LoadSettings& settings, const Features& features) {
  Skeleton skeleton(memcrest_bpf::open(nullptr));
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
  knobs->capture_stacks = settings.stacks;
  knobs->count_charges = settings.count_charges;
  bpf_map__set_max_entries(skeleton->maps.critical, static_cast<std::uint32_t>(settings.critical_ring_bytes));
  bpf_map__set_max_entries(skeleton->maps.bulk, static_cast<std::uint32_t>(settings.bulk_ring_bytes));
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
Result<void> find_refused(const LoadSettings& settings, Features& features) {
  for (Hook& hook : features.hooks) {
    if (!wanted(features, hook.program, settings)) {
      continue;
    }
    auto skeleton = open_skeleton(settings, features);
    if (!skeleton) {
      return std::unexpected(skeleton.error());
    }
    last_warning().clear();
    const int error = load_with(**skeleton, [&](const std::string& name) { return name == hook.program; });
    if (error != 0) {
      hook.state = HookState::kRefused;
      hook.reason = std::string("load: ") + std::strerror(-error) + " " + last_warning();
    }
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
  std::vector<Link> links;
  LoadSettings settings;
};

LoadedProbe::LoadedProbe(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
LoadedProbe::~LoadedProbe() = default;

Result<std::unique_ptr<LoadedProbe>> LoadedProbe::load(const LoadSettings& settings, Features& features) {
  libbpf_set_print(keep_warning);
  for (Hook& hook : features.hooks) {
    if (std::ranges::find(settings.disabled, hook.program) != settings.disabled.end()) {
      hook.state = HookState::kRefused;
      hook.reason = "disabled by hand";
    }
  }
  choose_tiers(features);
  constexpr int kRounds = 4;  // each lowers the ladder by what was refused
  for (int round = 0; round < kRounds; ++round) {
    auto skeleton = open_skeleton(settings, features);
    if (!skeleton) {
      return std::unexpected(skeleton.error());
    }
    last_warning().clear();
    const int error = load_with(**skeleton, [&](const std::string& name) { return wanted(features, name, settings); });
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
    if (round == kRounds - 1) {
      return fail("load BPF programs", "", -error, last_warning());
    }
    if (auto found = find_refused(settings, features); !found) {
      return std::unexpected(found.error());
    }
    choose_tiers(features);
  }
  return fail("load BPF programs", "", EINVAL);
}

Result<void> LoadedProbe::attach(Features& features) {
  for (const bool lifecycle : {true, false}) {
    bpf_program* program = nullptr;
    bpf_object__for_each_program(program, impl_->skeleton->obj) {
      const std::string name = bpf_program__name(program);
      const bool is_lifecycle = name.starts_with("on_cgroup") || name.starts_with("on_sched");
      if (!bpf_program__autoload(program) || name == kInit || is_lifecycle != lifecycle) {
        continue;
      }
      Link link(bpf_program__attach(program));
      if (link) {
        impl_->links.push_back(std::move(link));
        continue;
      }
      const int code = errno;
      const auto hook = std::ranges::find(features.hooks, name, &Hook::program);
      if (hook != features.hooks.end()) {
        hook->state = HookState::kRefused;
        hook->reason = std::string("attach: ") + std::strerror(code);
      }
    }
  }
  // A tier may only be made of what runs: programs left out at load cannot step in now.
  for (Hook& hook : features.hooks) {
    bpf_program* program = bpf_object__find_program_by_name(impl_->skeleton->obj, hook.program.c_str());
    if (hook.state == HookState::kAvailable && (program == nullptr || !bpf_program__autoload(program))) {
      hook.state = HookState::kMissing;
      hook.reason = "not needed by the tier chosen";
    }
  }
  choose_tiers(features);
  if (impl_->links.empty()) {
    return fail("attach BPF programs", "", EPERM, "none could be attached");
  }
  return {};
}

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
    const bool bulk = type == MEMCREST_REC_STEP || type == MEMCREST_REC_EXEC || type == MEMCREST_REC_EXIT;
    (bulk ? out.bulk : out.critical) += all[type].dropped_full;
    out.throttled += all[type].dropped_throttle;
  }
  out.untracked = stats().table_full;
  return out;
}

}  // namespace memcrest
