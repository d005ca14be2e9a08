// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "store/recording_sink.h"

namespace memcrest {

// To the log: what has been recorded, and what is missing. False: the recording is not whole.
bool describe_recording(const RecordingSink::Status& status);

}  // namespace memcrest
