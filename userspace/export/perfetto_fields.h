// SPDX-License-Identifier: Apache-2.0
// Field numbers of Perfetto's trace format (protos/perfetto/trace/*.proto of its source). For the sources of this room
// only.
#pragma once

#include <cstdint>

namespace memcrest::perfetto {

enum Trace : std::uint32_t { kPacket = 1 };

namespace packet {
enum : std::uint32_t {
  kClockSnapshot = 6,
  kTimestamp = 8,
  kSequenceId = 10,
  kTrackEvent = 11,
  kInternedData = 12,
  kSequenceFlags = 13,
  kTraceStats = 35,
  kSystemInfo = 45,
  kTrackDescriptor = 60,
};
enum : std::uint32_t { kIncrementalStateCleared = 1, kNeedsIncrementalState = 2 };
}  // namespace packet

namespace clock_snapshot {
enum : std::uint32_t { kClocks = 1, kPrimaryTraceClock = 2 };
enum : std::uint32_t { kClockId = 1, kTimestamp = 2 };
enum : std::uint32_t { kRealtime = 1, kBoottime = 6 };
}  // namespace clock_snapshot

namespace track {
enum : std::uint32_t { kUuid = 1, kName = 2, kProcess = 3, kThread = 4, kParentUuid = 5, kCounter = 8 };
}  // namespace track

namespace process {
enum : std::uint32_t { kPid = 1, kName = 6, kStartNs = 7 };
}  // namespace process

namespace thread {
enum : std::uint32_t { kPid = 1, kTid = 2, kName = 5 };
}  // namespace thread

namespace counter {
enum : std::uint32_t { kUnit = 3 };
enum : std::uint32_t { kSizeBytes = 3 };
}  // namespace counter

namespace event {
enum : std::uint32_t {
  kDebugAnnotation = 4,
  kType = 9,
  kTrackUuid = 11,
  kExtraCounterValue = 12,
  kCategory = 22,
  kName = 23,
  kCounterValue = 30,
  kExtraCounterTrack = 31,
  kCallstackIid = 56,
};
enum : std::int32_t { kSliceBegin = 1, kSliceEnd = 2, kInstant = 3, kCounter = 4 };
}  // namespace event

namespace annotation {
enum : std::uint32_t { kBool = 2, kUint = 3, kString = 6, kName = 10 };
}  // namespace annotation

namespace interned {
enum : std::uint32_t {
  kFunctionNames = 5,
  kFrames = 6,
  kCallstacks = 7,
  kBuildIds = 16,
  kMappingPaths = 17,
  kMappings = 19
};
// Of each of its messages.
enum : std::uint32_t { kIid = 1 };
enum : std::uint32_t { kString = 2 };
enum : std::uint32_t { kFrameName = 2, kFrameMapping = 3, kFramePc = 4 };
enum : std::uint32_t { kCallstackFrame = 2 };
enum : std::uint32_t { kMappingBuildId = 2, kMappingStart = 4, kMappingEnd = 5, kMappingPath = 7 };
}  // namespace interned

namespace stats {
enum : std::uint32_t { kBufferStats = 1 };
enum : std::uint32_t { kTraceWriterPacketLoss = 19 };
}  // namespace stats

namespace system_info {
enum : std::uint32_t { kUtsname = 1 };
enum : std::uint32_t { kSysname = 1, kRelease = 3 };
}  // namespace system_info

}  // namespace memcrest::perfetto
