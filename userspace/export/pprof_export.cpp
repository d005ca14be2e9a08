// SPDX-License-Identifier: Apache-2.0
#include "export/pprof_export.h"

#include <algorithm>
#include <limits>
#include <protozero/pbf_writer.hpp>

#include "export/gzip_sink.h"
#include "util/result.h"
#include "util/text.h"

namespace memcrest {
namespace {

using protozero::pbf_writer;

// Field numbers of profile.proto.
namespace profile {
enum : protozero::pbf_tag_type {
  kSampleType = 1,
  kSample = 2,
  kMapping = 3,
  kLocation = 4,
  kFunction = 5,
  kStringTable = 6,
  kTimeNanos = 9,
  kDurationNanos = 10,
  kPeriodType = 11,
  kPeriod = 12,
  kComment = 13,
  kDefaultSampleType = 14,
};
}  // namespace profile
namespace value_type {
enum : protozero::pbf_tag_type { kType = 1, kUnit = 2 };
}  // namespace value_type
namespace sample {
enum : protozero::pbf_tag_type { kLocationId = 1, kValue = 2, kLabel = 3 };
}  // namespace sample
namespace label {
enum : protozero::pbf_tag_type { kKey = 1, kStr = 2, kNum = 3 };
}  // namespace label
namespace mapping {
enum : protozero::pbf_tag_type {
  kId = 1,
  kMemoryStart = 2,
  kMemoryLimit = 3,
  kFilename = 5,
  kBuildId = 6,
  kHasFunctions = 7
};
}  // namespace mapping
namespace location {
enum : protozero::pbf_tag_type { kId = 1, kMappingId = 2, kAddress = 3, kLine = 4 };
}  // namespace location
namespace function {
enum : protozero::pbf_tag_type { kId = 1, kName = 2, kSystemName = 3, kFileName = 4 };
}  // namespace function

constexpr const char* kUser = "[user]";  // a file that is not known
constexpr const char* kKernel = "[kernel]";
constexpr std::uint64_t kKernelStart = 1ULL << 63U;

std::int64_t clamped(std::uint64_t value) {
  return static_cast<std::int64_t>(
      std::min<std::uint64_t>(value, static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())));
}

}  // namespace

// The message as it is written: what is referred to goes out when it is first named, the strings at the end.
class PprofExport::Profile {
 public:
  Profile(ByteSink& sink, const FrameNames& frames) : out_(sink), frames_(frames) { ignore_result(string({})); }

  void head(const ExportEnd& end, const std::vector<std::string>& left_out);
  void times(const Moment& first, const Moment& last);
  void add(const StackTotal& total);
  void finish();

 private:
  struct LocationKey {
    std::int64_t name;
    std::uint64_t address;
    std::uint64_t mapping;
    bool operator==(const LocationKey&) const = default;
  };
  struct Hash {
    std::size_t operator()(const LocationKey& key) const {
      return std::hash<std::uint64_t>()((key.address ^ (key.mapping << 62U)) * 0x9e3779b97f4a7c15ULL +
                                        static_cast<std::uint64_t>(key.name));
    }
  };
  [[nodiscard]] std::int64_t string(const std::string& raw);
  void value_type(protozero::pbf_tag_type field, const char* type, const char* unit);
  [[nodiscard]] std::uint64_t mapping(const std::string& file, const std::string& build_id);
  [[nodiscard]] std::uint64_t location(const std::string& name, std::uint64_t address, const Frame& frame);
  [[nodiscard]] std::uint64_t user_location(const TaskInfo& task, std::uint64_t address);
  [[nodiscard]] std::vector<std::uint64_t> locations_of(const StackTotal& total);
  void label(pbf_writer& sample, const char* key, const std::string& text);
  void put(const std::string& message);

  GzipSink out_;
  const FrameNames& frames_;
  std::unordered_map<std::string, std::int64_t> strings_;
  std::vector<const std::string*> in_order_;
  std::unordered_map<std::string, std::uint64_t> mappings_;    // by file and build id
  std::unordered_map<std::int64_t, std::uint64_t> functions_;  // by name
  std::unordered_map<LocationKey, std::uint64_t, Hash> locations_;
};

void PprofExport::Profile::put(const std::string& message) { out_.write(message); }

std::int64_t PprofExport::Profile::string(const std::string& raw) {
  const auto [found, is_new] = strings_.try_emplace(to_valid_utf8(raw), static_cast<std::int64_t>(in_order_.size()));
  if (is_new) {
    in_order_.push_back(&found->first);
  }
  return found->second;
}

void PprofExport::Profile::value_type(protozero::pbf_tag_type field, const char* type, const char* unit) {
  std::string message;
  {
    pbf_writer writer(message);
    pbf_writer inner(writer, field);
    inner.add_int64(value_type::kType, string(type));
    inner.add_int64(value_type::kUnit, string(unit));
  }
  put(message);
}

// One for each file; of many the rest is told as not known.
std::uint64_t PprofExport::Profile::mapping(const std::string& file, const std::string& build_id) {
  const auto [found, is_new] = mappings_.try_emplace(file + '\0' + build_id, mappings_.size() + 1);
  if (!is_new) {
    return found->second;
  }
  const bool kernel = file == kKernel;
  std::string message;
  {
    pbf_writer writer(message);
    pbf_writer inner(writer, profile::kMapping);
    inner.add_uint64(mapping::kId, found->second);
    inner.add_uint64(mapping::kMemoryStart, kernel ? kKernelStart : 0);
    inner.add_uint64(mapping::kMemoryLimit, kernel ? ~std::uint64_t{0} : kKernelStart);
    inner.add_int64(mapping::kFilename, string(file));
    if (!build_id.empty()) {
      inner.add_int64(mapping::kBuildId, string(build_id));
    }
    inner.add_bool(mapping::kHasFunctions, true);  // or pprof would look for files of these names
  }
  put(message);
  return found->second;
}

void PprofExport::Profile::head(const ExportEnd& end, const std::vector<std::string>& left_out) {
  value_type(profile::kSampleType, "growth_bytes", "bytes");
  value_type(profile::kSampleType, "steps", "count");
  ignore_result(mapping(kUser, {}));  // the first: pprof takes it for the program
  std::string message;
  pbf_writer writer(message);
  writer.add_int64(profile::kDefaultSampleType, string("growth_bytes"));
  if (end.lost != LossCount{}) {
    const LossCount& lost = end.lost;
    writer.add_int64(profile::kComment,
                     string("records lost: critical " + std::to_string(lost.critical) + ", bulk " +
                            std::to_string(lost.bulk) + ", throttled " + std::to_string(lost.throttled) + ", invalid " +
                            std::to_string(lost.invalid) + ", untracked " + std::to_string(lost.untracked)));
  }
  for (const auto* texts : {&end.gaps, &end.notes, &left_out}) {
    for (const std::string& text : *texts) {
      writer.add_int64(profile::kComment, string(escape_terminal(text)));
    }
  }
  put(message);
}

void PprofExport::Profile::times(const Moment& first, const Moment& last) {
  std::string message;
  pbf_writer writer(message);
  writer.add_int64(profile::kTimeNanos, first.unix_ns);
  writer.add_int64(profile::kDurationNanos, last.boot_ns > first.boot_ns ? clamped(last.boot_ns - first.boot_ns) : 0);
  put(message);
}

// pprof adds up what has one name: the same address in two programs are two places.
std::uint64_t PprofExport::Profile::user_location(const TaskInfo& task, std::uint64_t address) {
  const Frame frame = frames_.at(&task.process, address);
  const std::string name = label_of(frame, address);
  return location(frame.name.empty() && frame.module.empty() ? task.comm + " " + name : name,
                  frame.offset != 0 ? frame.offset : address, frame);
}

std::uint64_t PprofExport::Profile::location(const std::string& name, std::uint64_t address, const Frame& frame) {
  const std::int64_t name_row = string(name);
  const std::uint64_t mapping_id = mapping(frame.module.empty() ? kUser : frame.module, frame.build_id);
  const auto [found, is_new] = locations_.try_emplace({name_row, address, mapping_id}, locations_.size() + 1);
  if (!is_new) {
    return found->second;
  }
  std::string message;
  {
    pbf_writer writer(message);
    const auto [function, is_new_function] = functions_.try_emplace(name_row, functions_.size() + 1);
    if (is_new_function) {
      pbf_writer inner(writer, profile::kFunction);
      inner.add_uint64(function::kId, function->second);
      inner.add_int64(function::kName, name_row);
      inner.add_int64(function::kSystemName, name_row);
      if (!frame.file.empty()) {
        inner.add_int64(function::kFileName, string(frame.file));
      }
    }
    pbf_writer inner(writer, profile::kLocation);
    inner.add_uint64(location::kId, found->second);
    inner.add_uint64(location::kMappingId, mapping_id);
    inner.add_uint64(location::kAddress, address);
    pbf_writer line(inner, location::kLine);
    line.add_uint64(1, function->second);
    if (frame.line != 0) {
      line.add_int64(2, frame.line);
    }
  }
  put(message);
  return found->second;
}

// Innermost first, as pprof has it.
std::vector<std::uint64_t> PprofExport::Profile::locations_of(const StackTotal& total) {
  if (total.cut) {
    return {location("[other stacks]", 0, {})};
  }
  std::vector<std::uint64_t> out;
  for (auto at = total.kernel_stack.rbegin(); at != total.kernel_stack.rend(); ++at) {
    Frame frame = frames_.at(nullptr, *at);
    frame.module = kKernel;
    out.push_back(location(frame.name.empty() ? hex_address(*at) : frame.name, *at, frame));
  }
  for (auto at = total.user_stack.rbegin(); at != total.user_stack.rend(); ++at) {
    out.push_back(user_location(*total.task, *at));
  }
  if (out.empty()) {
    out.push_back(location("[no stack]", 0, {}));
  }
  return out;
}

void PprofExport::Profile::label(pbf_writer& sample, const char* key, const std::string& text) {
  pbf_writer inner(sample, sample::kLabel);
  inner.add_int64(label::kKey, string(key));
  inner.add_int64(label::kStr, string(text));
}

void PprofExport::Profile::add(const StackTotal& total) {
  const std::vector<std::uint64_t> locations = locations_of(total);
  const std::vector<std::int64_t> values{clamped(total.bytes), clamped(total.steps)};
  std::string message;
  {
    pbf_writer writer(message);
    pbf_writer inner(writer, profile::kSample);
    inner.add_packed_uint64(sample::kLocationId, locations.begin(), locations.end());
    inner.add_packed_int64(sample::kValue, values.begin(), values.end());
    label(inner, "container", total.label);
    label(inner, "kind",
          total.kind != MemoryKind::kUnknown ? to_string(total.kind)
          : total.page_cache                 ? "page cache"
                                             : "unknown");
    if (total.task != nullptr) {
      label(inner, "process", total.task->comm);
      pbf_writer pid(inner, sample::kLabel);
      pid.add_int64(label::kKey, string("pid"));
      pid.add_int64(label::kNum, total.task->process.tgid);
    }
  }
  put(message);
}

void PprofExport::Profile::finish() {
  for (const std::string* text : in_order_) {
    std::string message;
    pbf_writer writer(message);
    writer.add_string(profile::kStringTable, *text);
    put(message);
  }
  out_.finish();
}

void PprofExport::add(const Moment& moment) {
  first_ = first_.value_or(moment);
  last_ = moment;
}

void PprofExport::finish(const ExportEnd& end) {
  Profile profile(context_.sink, context_.frames);
  profile.head(end, totals_.left_out());
  if (first_) {
    profile.times(*first_, last_);
  }
  totals_.each([&](const StackTotal& total) { profile.add(total); });
  profile.finish();
}

}  // namespace memcrest
