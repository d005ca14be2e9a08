// SPDX-License-Identifier: Apache-2.0
// Ctrl-C and SIGTERM as a flag, for verbs that run until told to stop.
#pragma once

namespace memcrest {

// SIGINT, SIGTERM and SIGHUP set the flag (a second SIGINT or SIGTERM ends the program at once, with 128 + n); SIGPIPE
// is ignored. Works for PID 1 of a container, which has no default actions. Call once.
void install_stop_signals();

[[nodiscard]] bool stop_requested();

// Afterwards SIGHUP asks for a reload instead of an end.
void install_reload_signal();
// Whether one was asked for since the last call.
[[nodiscard]] bool take_reload_request();

}  // namespace memcrest
