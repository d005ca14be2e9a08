// SPDX-License-Identifier: Apache-2.0
#include "sizing/sizing_export.h"

namespace memcrest {

void SizingExport::add(const Moment& moment) {
  begin_ = begin_.value_or(moment.unix_ns);
  end_ = moment.unix_ns;
  last_ns_ = moment.boot_ns;
}

void SizingExport::add(const ExportedStep& step) {
  book_.add(step.event, step.growth.bytes);
  last_ns_ = end_ ? last_ns_ : std::max(last_ns_, step.event.time_ns);
}

void SizingExport::add(const ExportedEvent& event) {
  if (const auto* sample = std::get_if<SampleEvent>(&event.event)) {
    book_.add(*sample);
  } else if (const auto* change = std::get_if<CgroupEvent>(&event.event)) {
    book_.add(*change);
  }
}

void SizingExport::finish(const ExportEnd& /*end*/) { book_.close_all(last_ns_); }

}  // namespace memcrest
