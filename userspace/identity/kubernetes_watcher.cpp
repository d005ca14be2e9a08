// SPDX-License-Identifier: Apache-2.0
#include "identity/kubernetes_watcher.h"

#include <signal.h>

#include <algorithm>
#include <utility>

#include "identity/kubernetes_exchange.h"
#include "identity/kubernetes_json.h"

namespace memcrest {
namespace {

using std::chrono::milliseconds;
using SteadyClock = std::chrono::steady_clock;

constexpr int kOk = 200;
constexpr int kGone = 410;
constexpr unsigned kMaxPages = 1000;
constexpr unsigned kFailuresUntilList = 5;
constexpr std::size_t kMaxListBytes = std::size_t{256} << 20U;
constexpr std::size_t kMaxEventBytes = std::size_t{16} << 20U;  // an object has 1.5 MB at most in the API's store
constexpr std::size_t kMaxRefusalBytes = std::size_t{64} << 10U;

// For a query.
std::string encode(std::string_view text) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  constexpr std::string_view kPlain = "-._~";
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
        kPlain.find(c) != std::string_view::npos) {
      out += c;
    } else {
      out += {'%', kHex[byte >> 4U], kHex[byte & 0x0fU]};
    }
  }
  return out;
}

// ESTALE: what was asked for is too old, and has to be listed again.
std::unexpected<Error> refused(const KubernetesEndpoint& endpoint, int status, const std::string& message) {
  std::string why = "answered " + std::to_string(status);
  if (status >= 300 && status < 400) {
    why += ", a redirect, which is not followed";
  }
  return fail("ask Kubernetes at", endpoint.authority(), status == kGone ? ESTALE : EPROTO,
              message.empty() ? why : why + ": " + message);
}

Result<KubernetesExchange> ask(const KubernetesEndpoint& endpoint, const std::string& target,
                               SteadyClock::time_point deadline, const StopEvent& stop) {
  auto exchange = KubernetesExchange::start(endpoint, target, deadline, stop);
  if (exchange && exchange->status() != kOk) {
    const std::string body = read_rest(*exchange, kMaxRefusalBytes, deadline);
    return refused(endpoint, exchange->status(), read_status_message(body));
  }
  return exchange;
}

// What broke the stream says more than that the JSON ended too early.
Error cause(const std::optional<Error>& broken, const Error& error) { return broken ? *broken : error; }

}  // namespace

KubernetesWatcher::KubernetesWatcher(KubernetesEndpoint endpoint, KubernetesCache& cache, KubernetesTimes times)
    : endpoint_(std::move(endpoint)),
      cache_(cache),
      times_(times),
      random_(std::random_device{}()),
      thread_([this](const std::stop_token& token) { run(token); }) {}

void KubernetesWatcher::run(const std::stop_token& token) {
  sigset_t all;  // signals are the main thread's; and see tls_connection.h on SIGPIPE
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, nullptr);
  const StopEvent stop(token);
  while (!token.stop_requested()) {
    const TimePoint begin = SteadyClock::now();
    const bool listing = version_.empty();
    auto done = listing ? list(stop) : watch(stop);
    if (done && listing) {
      continue;
    }
    const TimePoint now = SteadyClock::now();
    failures_ = now - begin >= times_.longest_pause ? 0 : failures_;
    if (done && now - begin < times_.first_pause) {
      done = fail("watch Kubernetes at", endpoint_.authority(), EPROTO, "it ends the watch at once");
    }
    if (done) {
      failures_ = 0;
      continue;
    }
    if (token.stop_requested()) {
      break;
    }
    if (done.error().code == ESTALE) {
      version_.clear();
      if (progress_ && now - listed_ >= times_.first_pause) {
        continue;  // nothing is wrong: it was merely too long ago
      }
      from_store_ = !progress_;
    }
    cache_.set_unavailable(done.error().message());
    if (++failures_ % kFailuresUntilList == 0) {
      version_.clear();
    }
    ignore_result(stop.sleep_until(now + pause()));
  }
}

// Doubles with each failure; half of it is random.
milliseconds KubernetesWatcher::pause() {
  constexpr unsigned kDoublings = 16;
  const auto full = std::min(times_.longest_pause, times_.first_pause * (1U << std::min(failures_ - 1, kDoublings)));
  std::uniform_int_distribution<milliseconds::rep> part(full.count() / 2, full.count());
  return milliseconds(part(random_));
}

std::string KubernetesWatcher::pods_of_node() const {
  return "/api/v1/pods?fieldSelector=" + encode("spec.nodeName=" + endpoint_.node);
}

Result<void> KubernetesWatcher::list(const StopEvent& stop) {
  const TimePoint deadline = SteadyClock::now() + times_.list;
  cache_.begin_list();
  // Version 0 is answered from the API server's memory, which knows the pods by node; without it the store is asked,
  // which has to look at all pods of the cluster, in pages.
  const std::string first = std::exchange(from_store_, false) ? "&limit=500" : "&limit=500&resourceVersion=0";
  std::string next;
  for (unsigned page = 0; page == 0 || !next.empty(); ++page) {
    if (page >= kMaxPages) {
      return fail("list the pods at", endpoint_.authority(), EMSGSIZE, "a list without end");
    }
    const std::string query = page == 0 ? first : "&limit=500&continue=" + encode(next);
    const auto read = read_page(pods_of_node() + query, deadline, stop, next);
    if (!read) {
      version_.clear();
      return read;
    }
  }
  cache_.end_list(SteadyClock::now());
  cache_.set_available();
  listed_ = SteadyClock::now();
  progress_ = false;
  return {};
}

Result<void> KubernetesWatcher::read_page(const std::string& target, TimePoint deadline, const StopEvent& stop,
                                          std::string& next) {
  auto exchange = ask(endpoint_, target, std::min(deadline, SteadyClock::now() + times_.answer), stop);
  if (!exchange) {
    return std::unexpected(exchange.error());
  }
  std::optional<Error> broken;
  const auto pieces = [&]() -> std::string_view {
    const auto piece = exchange->read(deadline);
    if (!piece) {
      broken = piece.error();
    }
    return piece.value_or(std::string_view());
  };
  JsonStream json(pieces, JsonStream::End::kOfStream, kMaxListBytes);
  auto page = read_pod_list(json, [this](KubernetesPod pod) { take(std::move(pod)); });
  if (!page || broken) {
    return std::unexpected(
        cause(broken, page ? Error{} : page.error()).within("list the pods at", endpoint_.authority()));
  }
  version_ = std::move(page->resource_version);
  next = std::move(page->continue_token);
  return {};
}

void KubernetesWatcher::take(KubernetesPod pod) {
  if (pod.node == endpoint_.node) {  // nobody else's, whatever the server thinks was asked for
    cache_.put(std::move(pod), SteadyClock::now());
  }
}

Result<void> KubernetesWatcher::watch(const StopEvent& stop) {
  const auto seconds = std::max<std::int64_t>(1, std::chrono::ceil<std::chrono::seconds>(times_.watch).count());
  const TimePoint begin = SteadyClock::now();
  auto exchange = ask(endpoint_,
                      pods_of_node() + "&watch=1&allowWatchBookmarks=true&timeoutSeconds=" + std::to_string(seconds) +
                          "&resourceVersion=" + encode(version_),
                      begin + times_.answer, stop);
  if (!exchange) {
    return std::unexpected(exchange.error());
  }
  cache_.set_available();
  std::optional<Error> broken;
  const TimePoint end = begin + times_.watch + times_.answer;  // the server ends it a little earlier
  TimePoint deadline = end;
  const auto pieces = [&]() -> std::string_view {
    const auto piece = exchange->read(deadline);
    if (!piece) {
      broken = piece.error();
    }
    return piece.value_or(std::string_view());
  };
  JsonStream events(pieces, JsonStream::End::kOfLine, kMaxEventBytes);
  const auto followed = follow(events, end, deadline);
  if (!followed && followed.error().code != ESTALE) {
    version_.clear();  // what was lost is not known
    return std::unexpected(cause(broken, followed.error()).within("watch the pods at", endpoint_.authority()));
  }
  if (followed && broken && broken->code != ETIMEDOUT) {
    return std::unexpected(broken->within("watch the pods at", endpoint_.authority()));
  }
  return followed;
}

// Until the watch ends between two events. `deadline` is for the bytes that are waited for.
Result<void> KubernetesWatcher::follow(JsonStream& events, TimePoint end, TimePoint& deadline) {
  while (true) {
    deadline = end;
    if (!events.more()) {
      return {};
    }
    deadline = SteadyClock::now() + times_.line;
    auto event = read_pod_event(events);
    if (!event) {
      return std::unexpected(event.error());
    }
    const auto applied = apply(std::move(*event));
    if (!applied) {
      return applied;
    }
  }
}

Result<void> KubernetesWatcher::apply(PodEvent event) {
  switch (event.type) {
    case PodEvent::Type::kError:
      return refused(endpoint_, event.code, event.message);
    case PodEvent::Type::kDeleted:
      if (event.pod) {
        const std::string uid = event.pod->pod.uid;
        take(std::move(*event.pod));  // how its containers ended
        cache_.remove(uid, SteadyClock::now());
      }
      break;
    case PodEvent::Type::kAdded:
    case PodEvent::Type::kModified:
      if (event.pod) {
        take(std::move(*event.pod));
      }
      break;
    case PodEvent::Type::kBookmark:
    case PodEvent::Type::kOther:
      break;
  }
  if (!event.resource_version.empty()) {
    version_ = std::move(event.resource_version);
    progress_ = true;
  }
  return {};
}

}  // namespace memcrest
