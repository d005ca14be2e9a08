// SPDX-License-Identifier: Apache-2.0
#include "app/break_runner.h"

#include <poll.h>
#include <signal.h>
#include <spdlog/spdlog.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <deque>
#include <string_view>
#include <vector>

#include "app/break_arms.h"
#include "app/break_holds.h"
#include "export/incident_reader.h"
#include "export/json.h"
#include "store/event_json.h"
#include "util/text.h"
#include "util/units.h"

namespace memcrest {
namespace {

// Messages, by their first byte. To the runner:
constexpr char kTable = 'T';   // the page shift; with three descriptors
constexpr char kArm = 'A';     // cgroup, action, path
constexpr char kForget = 'G';  // cgroup
constexpr char kHit = 'H';     // a breakpoint event's JSON
// And from it:
constexpr char kTold = 'I';  // an incident's JSON
constexpr char kPart = 'P';  // cgroup, time
constexpr char kLost = 'L';  // a breakpoint event's JSON, of a hit whose record was lost

constexpr std::size_t kLongest = 1U << 20U;
constexpr std::size_t kLongestSure = 128U << 10U;  // what a socket takes whose buffer nobody may enlarge
constexpr int kTurnMs = 20;
constexpr auto kSettle = std::chrono::seconds(5);
constexpr auto kAlone = std::chrono::milliseconds(1500);
constexpr std::uint64_t kHour = 3600 * kSecond;

// Never waits: whoever holds processes must not be held up.
Result<void> send_message(int socket, const std::string& message) {
  const ssize_t put = ::send(socket, message.data(), message.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  return put == static_cast<ssize_t>(message.size()) ? Result<void>{} : fail_errno("send", "breakpoint process");
}

// The number at the beginning of `text`, which is taken off with the blank behind it.
std::optional<std::uint64_t> take_number(std::string_view& text) {
  std::uint64_t out = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (error != std::errc{}) {
    return std::nullopt;
  }
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  if (text.starts_with(' ')) {
    text.remove_prefix(1);
  }
  return out;
}

struct Message {
  std::string text;
  std::vector<Fd> descriptors;
};

// nullopt: none yet. An empty one: the other end is gone.
std::optional<Message> receive(int socket) {
  ssize_t length = ::recv(socket, nullptr, 0, MSG_PEEK | MSG_TRUNC | MSG_DONTWAIT);
  if (length < 0 && errno == ECONNRESET) {  // it left what we said unread; what it said is there all the same
    length = ::recv(socket, nullptr, 0, MSG_PEEK | MSG_TRUNC | MSG_DONTWAIT);
  }
  if (length < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) {
    return std::nullopt;
  }
  Message out;
  if (length <= 0) {
    return out;
  }
  out.text.resize(static_cast<std::size_t>(length));
  std::array<char, CMSG_SPACE(4 * sizeof(int))> control{};
  iovec part{out.text.data(), out.text.size()};
  msghdr head{};
  head.msg_iov = &part;
  head.msg_iovlen = 1;
  head.msg_control = control.data();
  head.msg_controllen = control.size();
  const ssize_t got = ::recvmsg(socket, &head, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  out.text.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
  for (cmsghdr* one = got > 0 ? CMSG_FIRSTHDR(&head) : nullptr; one != nullptr; one = CMSG_NXTHDR(&head, one)) {
    if (one->cmsg_level == SOL_SOCKET && one->cmsg_type == SCM_RIGHTS) {
      for (std::size_t i = 0; i < (one->cmsg_len - CMSG_LEN(0)) / sizeof(int); ++i) {
        int fd = -1;
        std::memcpy(&fd, CMSG_DATA(one) + i * sizeof(int), sizeof(int));
        out.descriptors.emplace_back(fd);
      }
    }
  }
  return out;
}

// One thread; nobody else is in this process.
class Runner {
 public:
  Runner(int socket, const BreakPolicyOptions& policy, CmdlineDetail cmdlines) : socket_(socket), policy_(policy) {
    options_.trace.cmdlines = cmdlines;
    options_.settings.at = policy.at;
    options_.settings.output = policy.output;
    for (const std::string& word : policy.allowed) {
      actions_.push_back(action_of(word, policy).value_or(BreakSettings{}));
    }
  }

  int run() {
    auto tree = CgroupTree::open(SystemRoot{});
    if (!tree) {
      return 1;
    }
    tree_.emplace(std::move(*tree));
    while (take_messages() && !(holds_ && holds_->is_unguarded())) {
      if (arms_) {
        keep_to_budget();
        holds_->tick();  // first, since it learns there whether lines may still be set
        if (!holds_->is_unguarded()) {
          arms_->tick();
        }
      }
      pollfd wait{socket_, POLLIN, 0};
      ::poll(&wait, 1, kTurnMs);
    }
    finish();
    return holds_ && holds_->is_unguarded() ? 1 : 0;
  }

 private:
  // False: the agent is gone.
  bool take_messages() {
    while (auto message = receive(socket_)) {
      if (message->text.empty()) {
        return false;
      }
      take(*message);
    }
    return true;
  }

  void take(Message& message) {
    std::string_view rest = std::string_view(message.text).substr(1);
    const char kind = message.text.front();
    if (kind == kHit) {
      if (auto event = event_from_json("breakpoint", rest); event && arms_) {
        on_hit(std::get<BreakpointEvent>(*event));
      }
      return;
    }
    const auto number = take_number(rest);
    if (kind == kTable && number && message.descriptors.size() == 3 && !table_) {
      begin(message.descriptors, static_cast<unsigned>(*number));
    } else if (kind == kArm && number && arms_) {
      if (const auto action = take_number(rest); action && *action < actions_.size()) {
        arms_->arm_chosen(*number, std::string(rest), actions_[*action]);
      }
    } else if (kind == kForget && number && arms_) {
      arms_->forget(*number);
    }
  }

  void begin(std::vector<Fd>& descriptors, unsigned page_shift) {
    table_.emplace(BreakpointTable::of(std::move(descriptors[0]), std::move(descriptors[1]), std::move(descriptors[2]),
                                       page_shift));
    GuardedTable guarded;
    guarded.descriptors = table_->descriptors();
    guarded.disarm = [this] { table_->disarm_all(); };
    guarded.caught = [this] { return table_->stopped(); };
    auto guardian = BreakGuardian::start(guarded, {.end_parent = true});
    if (!guardian) {
      spdlog::error("nothing is done at lines: {}", escape_terminal(guardian.error().message()));
      return;
    }
    guardian_.emplace(std::move(*guardian));
    arms_ = std::make_unique<BreakArms>(options_, *tree_, clock_, &*table_,
                                        [this](const BreakpointEvent& event) { say(kLost + event_to_json(event)); });
    holds_ = std::make_unique<BreakHolds>(options_, *tree_, clock_, *arms_, &*table_, &*guardian_,
                                          [this](const Incident& update) { tell(update); });
  }

  void on_hit(const BreakpointEvent& event) {
    const bool ours = arms_->is_ours(event.cgroup_id);
    const bool its_own = holds_->hit(event, !ours          ? "its cgroup has no line any more"
                                            : is_used_up() ? "too many lines were reached on this host"
                                                           : "");
    arms_->reach(event.cgroup_id);
    Incident incident;
    incident.kind = IncidentKind::kBreakpoint;
    incident.cgroup.id = event.cgroup_id;
    incident.boot_ns = event.time_ns;
    incident.breakpoint.emplace();
    if (!its_own || !holds_->complete(incident)) {
      say(kPart + std::to_string(event.cgroup_id) + " " + std::to_string(event.time_ns));
      return;
    }
    tell(incident);
  }

  [[nodiscard]] bool is_used_up() const { return times_.size() >= policy_.most_per_hour; }

  void tell(const Incident& incident) {
    std::string message = kTold + to_json(incident);
    if (message.size() > kLongestSure) {
      Incident shorter = incident;
      for (HeldProcess& one : shorter.breakpoint->processes) {
        one.cmdline.clear();
      }
      message = kTold + to_json(shorter);
    }
    say(message);
  }

  void say(const std::string& message) {
    if (const auto sent = send_message(socket_, message); !sent) {
      spdlog::error("what was done at a line is not told: {}", escape_terminal(sent.error().message()));
    }
  }

  void keep_to_budget() {
    const std::uint64_t now = clock_.boot_ns();
    for (; counted_ < holds_->hits(); ++counted_) {
      times_.push_back(now);
    }
    while (!times_.empty() && now - times_.front() >= kHour) {
      times_.pop_front();
    }
    const bool used_up = is_used_up();
    if (used_up != paused_) {
      paused_ = used_up;
      arms_->pause(used_up);
      if (used_up) {
        spdlog::warn("{} lines were reached within an hour: no more is done until it is over", policy_.most_per_hour);
      } else {
        spdlog::warn("lines are set again: fewer than {} were reached within an hour", policy_.most_per_hour);
      }
    }
  }

  void finish() {
    if (!arms_) {
      return;
    }
    arms_->disarm_all();
    const bool alone = holds_->is_unguarded();  // nobody sweeps after us
    const auto begin = std::chrono::steady_clock::now();
    auto now = begin;
    do {
      holds_->release_all("resumed: memcrest ended");
      holds_->tick();
      if (alone) {
        holds_->resume_everybody();
      }
      ::poll(nullptr, 0, kTurnMs);
      now = std::chrono::steady_clock::now();
    } while ((holds_->any() && now < begin + kSettle) || (alone && now < begin + kAlone));
    if (!holds_->any()) {
      guardian_->leave();
    }
    guardian_.reset();  // else this waits for it
  }

  int socket_;
  BreakPolicyOptions policy_;
  BreakOptions options_;
  std::vector<BreakSettings> actions_;
  SystemClock clock_;
  std::optional<CgroupTree> tree_;
  std::optional<BreakpointTable> table_;
  std::optional<BreakGuardian> guardian_;
  std::unique_ptr<BreakArms> arms_;
  std::unique_ptr<BreakHolds> holds_;
  std::deque<std::uint64_t> times_;  // of hits, within an hour
  std::uint64_t counted_ = 0;
  bool paused_ = false;
};

[[noreturn]] void runner_main(Fd socket, const BreakPolicyOptions& options, CmdlineDetail cmdlines) {
  ::prctl(PR_SET_NAME, "memcrest-break");
  ::setsid();
  // Its end is the agent's to decide.
  for (const int number : {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGPIPE, SIGUSR1, SIGUSR2}) {
    ::signal(number, SIG_IGN);
  }
  const int code = Runner(socket.get(), options, cmdlines).run();
  spdlog::default_logger()->flush();
  ::_exit(code);
}

}  // namespace

Result<BreakRunner> BreakRunner::start(const BreakPolicyOptions& options, CmdlineDetail cmdlines) {
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0) {
    return fail_errno("socketpair", "breakpoint process");
  }
  Fd theirs(ends[0]);
  Fd ours(ends[1]);
  for (const int end : ends) {
    const int room = static_cast<int>(kLongest);
    ::setsockopt(end, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof(room));
  }
  const pid_t pid = ::fork();
  if (pid < 0) {
    return fail_errno("fork", "breakpoint process");
  }
  if (pid == 0) {
    ours.reset();
    runner_main(std::move(theirs), options, cmdlines);
  }
  return BreakRunner(pid, std::move(ours));
}

BreakRunner::BreakRunner(BreakRunner&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)), socket_(std::move(other.socket_)) {}

BreakRunner::~BreakRunner() {
  socket_.reset();
  if (pid_ > 0) {
    ::waitpid(pid_, nullptr, 0);
  }
}

Result<void> BreakRunner::say(const std::string& message) {
  if (!socket_) {
    return fail("send", "breakpoint process", EPIPE, "it is gone");
  }
  auto sent = send_message(socket_.get(), message);
  if (!sent && sent.error().code != EAGAIN && sent.error().code != EMSGSIZE) {
    socket_.reset();
  }
  return sent;
}

Result<void> BreakRunner::give(const BreakpointTable& table) {
  const std::string text = kTable + std::to_string(table.page_shift());
  const std::vector<int> descriptors = table.all_descriptors();
  const std::size_t bytes = descriptors.size() * sizeof(int);
  std::array<char, CMSG_SPACE(3 * sizeof(int))> control{};
  iovec part{const_cast<char*>(text.data()), text.size()};  // NOLINT: is not written to
  msghdr head{};
  head.msg_iov = &part;
  head.msg_iovlen = 1;
  head.msg_control = control.data();
  head.msg_controllen = CMSG_SPACE(bytes);
  cmsghdr* const one = CMSG_FIRSTHDR(&head);
  one->cmsg_level = SOL_SOCKET;
  one->cmsg_type = SCM_RIGHTS;
  one->cmsg_len = CMSG_LEN(bytes);
  std::memcpy(CMSG_DATA(one), descriptors.data(), bytes);
  return ::sendmsg(socket_.get(), &head, MSG_NOSIGNAL) == static_cast<ssize_t>(text.size())
             ? Result<void>{}
             : fail_errno("send", "breakpoint process");
}

Result<void> BreakRunner::arm(std::uint64_t cgroup_id, std::size_t action, const std::string& path) {
  return say(kArm + std::to_string(cgroup_id) + " " + std::to_string(action) + " " + path);
}

Result<void> BreakRunner::forget(std::uint64_t cgroup_id) { return say(kForget + std::to_string(cgroup_id)); }

void BreakRunner::end() {
  if (socket_) {
    ::shutdown(socket_.get(), SHUT_WR);
  }
}

Result<void> BreakRunner::hit(const BreakpointEvent& event) { return say(kHit + event_to_json(event)); }

std::optional<BreakRunner::Answer> BreakRunner::answer(std::chrono::milliseconds patience) {
  if (!socket_) {
    return std::nullopt;
  }
  pollfd wait{socket_.get(), POLLIN, 0};
  if (::poll(&wait, 1, static_cast<int>(patience.count())) <= 0) {
    return std::nullopt;
  }
  const auto message = receive(socket_.get());
  if (!message) {
    return std::nullopt;
  }
  if (message->text.empty()) {
    socket_.reset();
    return std::nullopt;
  }
  std::string_view rest = std::string_view(message->text).substr(1);
  if (message->text.front() == kPart) {
    const auto cgroup = take_number(rest);
    const auto time = take_number(rest);
    return cgroup && time ? std::optional<Answer>(Part{*cgroup, *time}) : std::nullopt;
  }
  if (message->text.front() == kLost) {
    auto event = event_from_json("breakpoint", rest);
    return event ? std::optional<Answer>(std::get<BreakpointEvent>(std::move(*event))) : std::nullopt;
  }
  auto incident = incident_from_json(rest);
  if (!incident || !incident->breakpoint) {
    spdlog::error("what was done at a line cannot be read: {}",
                  incident ? "no breakpoint" : escape_terminal(incident.error().message()));
    return std::nullopt;
  }
  return std::move(*incident);
}

}  // namespace memcrest
