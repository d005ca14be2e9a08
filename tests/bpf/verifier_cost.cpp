// SPDX-License-Identifier: Apache-2.0
// How many instructions this kernel's verifier processes for each program, as one line of JSON each; exit code 1 when a
// program is refused, or is over its budget (a file of "PROGRAM INSTRUCTIONS" lines), so that none grows unnoticed.
// With "breakpoints" as second argument: with the code for lines in it. Needs root.
#include <fstream>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>

#include "probe/loader.h"

int main(int argc, char** argv) {
  using namespace memcrest;
  std::map<std::string, std::uint64_t> budget;
  if (argc > 1) {
    std::ifstream file(argv[1]);
    std::string line;
    while (std::getline(file, line)) {
      const auto space = line.find(' ');
      if (!line.starts_with('#') && space != std::string::npos) {
        budget[line.substr(0, space)] = std::strtoull(line.c_str() + space, nullptr, 10);
      }
    }
    if (budget.empty()) {
      std::cerr << "verifier_cost: no budget in " << argv[1] << "\n";
      return 1;
    }
  }
  const Features features = probe_features(SystemRoot{});
  if (!features.can_load()) {
    std::cerr << "verifier_cost: BPF programs cannot be loaded here\n";
    return 1;
  }
  LoadSettings settings;
  settings.breakpoints = argc > 2 && std::string_view(argv[2]) == "breakpoints";
  const auto costs = measure_programs(features, settings);
  if (!costs) {
    std::cerr << "verifier_cost: " << costs.error().message() << "\n";
    return 1;
  }
  int failures = 0;
  for (const ProgramCost& cost : *costs) {
    const auto allowed = budget.find(cost.program);
    const bool over = allowed != budget.end() && cost.instructions > allowed->second;
    const bool unknown = argc > 1 && allowed == budget.end();
    failures += over || unknown || !cost.error.empty() ? 1 : 0;
    std::cout << nlohmann::ordered_json{{"kernel", features.kernel},
                                        {"program", cost.program},
                                        {"instructions", cost.instructions},
                                        {"over_budget", over},
                                        {"error", cost.error.empty() ? nlohmann::ordered_json()
                                                                     : nlohmann::ordered_json(cost.error)}}
                     .dump()
              << "\n";
    if (over || unknown) {
      std::cerr << "verifier_cost: " << cost.program
                << (over ? " is over its budget of " + std::to_string(allowed->second) : " has no budget") << "\n";
    }
  }
  if (costs->empty()) {
    std::cerr << "verifier_cost: no hook is available\n";
    return 1;
  }
  return failures == 0 ? 0 : 1;
}
