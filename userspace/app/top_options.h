// SPDX-License-Identifier: Apache-2.0
// The options of `memcrest top`, and how verbs are told of an agent.
#pragma once

#include "app/options.h"

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace memcrest {

// Adds --agent, which is returned, and what goes with it.
CLI::Option* add_agent_address(CLI::App& verb, AgentAddress& address);
CLI::App* add_top(CLI::App& app, TopOptions& options);

}  // namespace memcrest
