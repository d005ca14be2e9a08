// SPDX-License-Identifier: Apache-2.0
// `memcrest why`: the newest incident of a container, pod or process from what was recorded or from a running agent, in
// full; or what an exit code means in general.
#include <spdlog/spdlog.h>

#include <algorithm>
#include <charconv>
#include <iostream>
#include <optional>
#include <tuple>

#include "app/agent_client.h"
#include "app/exit_codes.h"
#include "app/terminal.h"
#include "app/verbs.h"
#include "export/incident_reader.h"
#include "export/json.h"
#include "export/live_json.h"
#include "identity/container_filter.h"
#include "identity/named_container.h"
#include "store/incident_search.h"
#include "util/text.h"
#include "view/exit_code_text.h"
#include "view/text.h"

namespace memcrest {
namespace {

constexpr const char* kNextTime =
    "To catch the next one, keep one of these running:\n"
    "  memcrest agent                                       for good: incidents are kept in /var/lib/memcrest\n"
    "  memcrest watch --flight-recorder DIR                 prints them, and records the time around each\n"
    "What can still be known of an end that nobody recorded:\n"
    "  docker inspect -f '{{.State.ExitCode}} {{.State.OOMKilled}} {{.State.FinishedAt}}' CONTAINER\n"
    "  journalctl -k -g 'oom-kill|Killed process'           the kernel's own words, as long as its log goes back\n"
    "  memcrest why --exit-code N                           what that exit code means, and what does not follow\n";

bool is_process(const Incident& incident, const std::string& target) {
  std::uint32_t pid = 0;
  const auto [end, wrong] = std::from_chars(target.data(), target.data() + target.size(), pid);
  return wrong == std::errc{} && end == target.data() + target.size() &&
         (std::ranges::any_of(incident.victims, [&](const Victim& one) { return one.pid == pid; }) ||
          (incident.trigger && incident.trigger->pid == pid));
}

bool is_meant(const Incident& incident, const std::string& target) {
  if (target.empty() || is_process(incident, target)) {
    return true;
  }
  // A container that nobody could name passes every filter: here only what is known to be the one is told.
  const Container& container = incident.container;
  ContainerFilter by_container;
  by_container.containers = {target};
  ContainerFilter by_pod;
  by_pod.pods = {target};
  return ((!container.name.empty() || !container.id.empty()) &&
          matches(by_container, container, incident.cgroup.path) &&
          (!container.name.empty() || container.id.starts_with(target))) ||
         (!pod_name(container).empty() && matches(by_pod, container, incident.cgroup.path)) ||
         (target.starts_with('/') && matches_cgroup(target, incident.cgroup.path)) ||
         (!container.unit.empty() && container.unit == target);
}

// Line ends stay, all else that a terminal would act on does not.
std::string escape_lines(const std::string& text) {
  std::string out;
  for (std::size_t from = 0; from < text.size();) {
    const std::size_t end = std::min(text.find('\n', from), text.size());
    out += escape_terminal(std::string_view(text).substr(from, end - from));
    out += end < text.size() ? "\n" : "";
    from = end + 1;
  }
  return out;
}

// A kill tells more than a burst that was survived, or an end that was asked for; of two of a kind the later one, and
// of that what was told last.
bool tells_more(const Incident& one, const std::optional<Incident>& best) {
  const auto weight = [](const Incident& incident) {
    return incident.kind == IncidentKind::kBurst || is_no_alarm(incident) ? 0 : 1;
  };
  const auto rank = [&](const Incident& incident) {
    return std::tuple(weight(incident), incident.unix_ns, !incident.update.empty());
  };
  return !best || rank(one) > rank(*best);
}

int tell(const Incident& incident, bool json) {
  if (json) {
    std::cout << to_json(incident) << "\n" << std::flush;
  } else {
    const Terminal terminal = terminal_of_stdout();
    TextStyle style;
    style.color = terminal.color;
    style.columns = terminal.columns.value_or(style.columns);
    Incident whole = incident;
    whole.update.clear();  // its last telling, in full
    std::cout << to_text(whole, style);
    if (incident.advice) {
      for (const AdviceLine& line : incident.advice->lines) {
        std::cout << "# " << escape_terminal(line.tool) << "\n" << escape_lines(line.text);
        std::cout << (line.text.ends_with('\n') ? "" : "\n");
      }
    }
    std::cout << std::flush;
  }
  if (!std::cout) {
    spdlog::error("standard output could not be written");
    return kExitOutput;
  }
  return kExitOk;
}

// What is left when nobody recorded: how the runtime says it ended, and what that means.
void tell_of_runtime(const WhyOptions& options) {
  const auto found = ask_for_container(options.target, options.identity.docker_socket, options.identity.podman_socket);
  if (!found) {
    spdlog::warn("{}", escape_terminal(found.error().message()));
  }
  // A process id is the beginning of some container's id, too.
  const bool number = options.target.find_first_not_of("0123456789") == std::string::npos;
  if (!found || !*found || (number && options.target.size() < 12 && (*found)->name != options.target)) {
    return;
  }
  std::cout << runtime_end_text(**found) << "\n" << std::flush;
}

struct Newest {
  std::optional<Incident> best;
  std::size_t unreadable = 0;
};

std::string nothing_found(const std::string& target) {
  return "no incident" + (target.empty() ? "" : " of " + escape_terminal(target));
}

// What was looked through, where nothing was found.
Result<std::string> look_at_files(const WhyOptions& options, Newest& out) {
  const auto found = search_incidents(options.from, [&](const std::string& json) {
    auto incident = incident_from_json(json);
    if (!incident) {
      ++out.unreadable;
    } else if (is_meant(*incident, options.target) && tells_more(*incident, out.best)) {
      out.best = std::move(*incident);
    }
    return true;
  });
  if (!found) {
    return std::unexpected(found.error());
  }
  if (found->unreadable > 0) {
    spdlog::warn("{} files could not be read: {}", found->unreadable, escape_terminal(found->last_error));
  }
  if (found->files_left_out + found->files_cut + found->too_long > 0) {
    spdlog::warn(
        "not all was read: {} of the oldest files left out, the oldest incidents of {} files, {} of more than 4 MiB",
        found->files_left_out, found->files_cut, found->too_long);
  }
  return options.from + " (" + std::to_string(found->files) + " files read)";
}

// A page of many can be more than what is read of a stranger's JSON; one incident is not.
Result<IncidentPage> page_of(const AgentClient& client, std::optional<std::uint64_t> before) {
  const std::string rest = before ? "&before=" + std::to_string(*before) : "";
  Result<IncidentPage> page = fail("ask", "the agent", EBADMSG);
  for (const char* many : {"20", "1"}) {
    const auto body = client.get("/api/v1/incidents?limit=" + std::string(many) + rest);
    if (!body) {
      return std::unexpected(body.error());
    }
    page = incident_page_from_json(*body);
    if (page) {
      break;
    }
  }
  return page;
}

// Newest first: a kill that is meant ends the search.
Result<std::string> look_at_agent(const WhyOptions& options, const AgentClient& client, Newest& out) {
  constexpr std::size_t kMostPages = 500;
  std::optional<std::uint64_t> before;
  std::size_t read = 0;
  for (std::size_t pages = 0; pages < kMostPages; ++pages) {
    auto page = page_of(client, before);
    if (!page) {
      return std::unexpected(page.error());
    }
    out.unreadable += page->unreadable;
    read += page->incidents.size();
    for (Incident& one : page->incidents) {
      if (is_meant(one, options.target) && tells_more(one, out.best)) {
        out.best = std::move(one);
      }
    }
    const bool killed = out.best && out.best->kind != IncidentKind::kBurst && !is_no_alarm(*out.best);
    if (killed || !page->next || (before && *page->next >= *before)) {
      return "what the agent keeps (" + std::to_string(read) + " incidents read)";
    }
    before = page->next;
  }
  spdlog::warn("not all was read: the agent keeps more than {} incidents", read);
  return "what the agent keeps (" + std::to_string(read) + " incidents read)";
}

}  // namespace

int why(const WhyOptions& options) {
  if (options.exit_code) {
    std::cout << exit_code_text(*options.exit_code) << std::flush;
    return std::cout ? kExitOk : kExitOutput;
  }
  Newest newest;
  Result<std::string> looked;
  if (options.agent.url.empty()) {
    looked = look_at_files(options, newest);
  } else {
    const auto client = AgentClient::make(options.agent);
    if (!client) {
      spdlog::error("{}", escape_terminal(client.error().message()));
      return kExitUsage;
    }
    looked = look_at_agent(options, *client, newest);
  }
  if (newest.unreadable > 0) {
    spdlog::warn("{} incidents could not be read", newest.unreadable);
  }
  if (newest.best) {
    if (!looked) {
      spdlog::warn("not all was read: {}", escape_terminal(looked.error().message()));
    }
    return tell(*newest.best, options.json);
  }
  if (looked) {
    spdlog::error("{} in {}", nothing_found(options.target), escape_terminal(*looked));
  } else {
    spdlog::error("{}", escape_terminal(looked.error().message()));
  }
  if (!options.json && !options.target.empty()) {
    tell_of_runtime(options);
  }
  std::cerr << kNextTime;
  return kExitFailure;
}

}  // namespace memcrest
