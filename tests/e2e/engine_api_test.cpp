// SPDX-License-Identifier: Apache-2.0
// The HTTP APIs and event streams of a real Docker daemon and a real Podman service, each private to this test
// (scripts/docker-up, scripts/podman-up): what identity reads from them after real OOM kills, restarts of containers,
// renames, and while the daemon itself is stopped, started again, or stands still. Needs root.
#include <gmock/gmock.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <functional>
#include <thread>

#include "identity/docker_api.h"
#include "identity/label_facts.h"
#include "identity/podman_api.h"
#include "identity/runtime_events.h"
#include "memcrest/clock.h"

namespace memcrest {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::IsSupersetOf;
using testing::Not;
using SteadyClock = std::chrono::steady_clock;
using Action = RuntimeEvent::Action;

constexpr std::uint64_t kLimit = 64U << 20U;
constexpr auto kPatience = 60s;  // a loaded machine, not a claim
constexpr const char* kMemory = "--network none --memory 64m --memory-swap 64m";

bool comes_true(const std::function<bool()>& condition, SteadyClock::duration within = kPatience) {
  const auto deadline = SteadyClock::now() + within;
  while (!condition()) {
    if (SteadyClock::now() > deadline) {
      return false;
    }
    std::this_thread::sleep_for(20ms);
  }
  return true;
}

struct Done {
  int code = -1;
  std::string output;  // without the last line's end
};

Done shell(const std::string& command) {
  Done done;
  FILE* const pipe = ::popen(command.c_str(), "re");
  if (pipe == nullptr) {
    return done;
  }
  char buffer[4096];
  while (const std::size_t got = ::fread(buffer, 1, sizeof(buffer), pipe)) {
    done.output.append(buffer, got);
  }
  const int status = ::pclose(pipe);
  done.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  done.output.erase(done.output.find_last_not_of('\n') + 1);
  return done;
}

std::string scripts() {
  const char* const source = ::getenv("MEMCREST_SOURCE");  // NOLINT(concurrency-mt-unsafe)
  return std::string(source != nullptr ? source : MEMCREST_SOURCE) + "/scripts/";
}

// A private engine: what scripts/NAME-up and NAME-down make and end.
class Engine {
 public:
  explicit Engine(std::string name)
      : name_(std::move(name)),
        // Of the same form for Docker as the other end-to-end tests': they remove what a killed run left.
        dir_((name_ == "docker" ? "/tmp/memcrest-e2e-" : "/tmp/memcrest-" + name_ + "-") + std::to_string(::getpid())) {
  }

  bool up() {
    const Done done = shell(scripts() + name_ + "-up " + dir_ + " " MEMCREST_HOG);
    socket_ = done.output;
    return done.code == 0;
  }
  void down() { shell(scripts() + name_ + "-down " + dir_); }

  Done operator()(const std::string& arguments) const {
    const std::string client =
        name_ == "docker" ? "DOCKER_CONTEXT='' docker -H unix://" + socket_ : "'" + dir_ + "/podman'";
    // conmon leaves a file "oom" where Podman was started.
    return shell("cd " + dir_ + " && " + client + " " + arguments + " 2>&1");
  }
  [[nodiscard]] std::string inspect(const std::string& container, const std::string& what) const {
    return (*this)("inspect -f '{{" + what + "}}' " + container).output;
  }
  [[nodiscard]] const std::string& socket() const { return socket_; }

  // The daemon's own process, not what it starts.
  [[nodiscard]] pid_t pid() const {
    pid_t pid = 0;
    std::ifstream(dir_ + "/" + (name_ == "docker" ? "docker.pid" : "podman.pid")) >> pid;
    return pid;
  }
  bool stop_daemon() const {
    const pid_t daemon = pid();
    return daemon > 1 && ::kill(daemon, SIGTERM) == 0 && comes_true([&] {
             return shell("grep -qs '^State:.[^Z]' /proc/" + std::to_string(daemon) + "/status").code != 0;
           });
  }

 private:
  std::string name_;
  std::string dir_;
  std::string socket_;
};

// Collects what an event stream tells.
class Listener {
 public:
  explicit Listener(const std::string& name, const std::string& socket)
      : events_({.engine = name, .socket = socket}, clock_, {.on_event = [this](const RuntimeEvent& event) {
                  const std::lock_guard lock(mutex_);
                  seen_.push_back(event);
                }}) {
    comes_true([&] { return events_.state().connected_since_unix_ns.has_value(); });
  }

  std::vector<RuntimeEvent> of(const std::string& id) {
    const std::lock_guard lock(mutex_);
    std::vector<RuntimeEvent> out;
    std::ranges::copy_if(seen_, std::back_inserter(out), [&](const auto& event) { return event.container_id == id; });
    return out;
  }
  std::vector<Action> actions_of(const std::string& id) {
    std::vector<Action> out;
    for (const RuntimeEvent& event : of(id)) {
      out.push_back(event.action);
    }
    return out;
  }
  bool wait_for(const std::string& id, Action action, std::ptrdiff_t times = 1) {
    return comes_true([&] { return std::ranges::count(actions_of(id), action) >= times; });
  }
  [[nodiscard]] RuntimeEventsState state() const { return events_.state(); }

 private:
  SystemClock clock_;
  std::mutex mutex_;
  std::vector<RuntimeEvent> seen_;
  RuntimeEvents events_;  // last: it calls back
};

// The container as the API's inspect tells it; retried, since an engine that is busy with a container may be slow.
Container inspected(ContainerSource& api, const CgroupPath& path) {
  Container found;
  const bool answered = comes_true([&] {
    auto answer = api.inspect(path, {});
    if (answer && *answer) {
      found = std::move(**answer);
      return true;
    }
    return false;
  });
  EXPECT_TRUE(answered);
  if (!found.state) {
    ADD_FAILURE() << "no state";
    found.state.emplace();
  }
  return found;
}

Container looked_up(ContainerSource& api, const CgroupPath& path) {
  auto answer = api.look_up(path, {});
  EXPECT_TRUE(answer) << answer.error().message();
  EXPECT_TRUE(answer && *answer);
  return answer && *answer ? std::move(**answer) : Container{};
}

// One engine for all tests of a suite; containers are removed after each.
template <typename Name>
class EngineTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    if (::geteuid() == 0) {
      engine() = std::make_unique<Engine>(Name::value);
      up_ = engine()->up();
    }
  }
  static void TearDownTestSuite() {
    if (engine()) {
      engine()->down();
      engine().reset();
    }
  }
  void SetUp() override {
    if (::geteuid() != 0) {
      GTEST_SKIP() << "needs root";
    }
    ASSERT_TRUE(up_) << Name::value << " did not come up";
  }
  void TearDown() override {
    if (up_) {
      for (const std::string& id : made_) {
        run("rm -f " + id);
      }
    }
  }
  static std::unique_ptr<Engine>& engine() {
    static std::unique_ptr<Engine> one;
    return one;
  }
  static Done run(const std::string& arguments) { return (*engine())(arguments); }

  // Creates a container and has it removed at the end; its full id.
  std::string create(const std::string& options, const std::string& command) {
    const Done made = run("create " + std::string(kMemory) + " " + options + " memcrest-test:latest " + command);
    EXPECT_EQ(made.code, 0) << made.output;
    const std::string id = made.output.substr(made.output.find_last_of('\n') + 1);
    EXPECT_TRUE(is_container_id(id)) << made.output;
    made_.push_back(id);
    return id;
  }
  static int start_and_wait(const std::string& id) { return run("start -a " + id).code; }

  std::vector<std::string> made_;

 private:
  inline static bool up_ = false;
};

struct DockerName {
  static constexpr const char* value = "docker";
};
struct PodmanName {
  static constexpr const char* value = "podman";
};

class DockerEngineTest : public EngineTest<DockerName> {
 protected:
  DockerEngineTest() : api_(engine() ? engine()->socket() : "", 5000ms) {}
  static CgroupPath path_of(const std::string& id) { return parse_cgroup_path("/docker/" + id); }

  DockerApi api_;
};

TEST_F(DockerEngineTest, ARunningContainer) {
  const std::string id = create(
      "--name web --label com.docker.compose.project=shop --label com.docker.compose.service=web"
      " --label com.docker.compose.container-number=2",
      "hog sleep 600000");
  ASSERT_EQ(run("start " + id).code, 0);
  const Container named = looked_up(api_, path_of(id));
  EXPECT_EQ(named.runtime, Runtime::kDocker);
  EXPECT_EQ(named.name, "web");
  EXPECT_EQ(named.image, "memcrest-test:latest");
  const auto compose = compose_of(named.labels);
  ASSERT_TRUE(compose);
  EXPECT_EQ(compose->project, "shop");
  EXPECT_EQ(compose->number, 2U);

  const Container whole = inspected(api_, path_of(id));
  EXPECT_EQ(std::to_string(whole.init_pid.value_or(0)), engine()->inspect(id, ".State.Pid"));
  EXPECT_EQ(whole.memory_limit_bytes, kLimit);
  EXPECT_EQ(whole.swap_limit_bytes, static_cast<std::int64_t>(kLimit));
  EXPECT_EQ(whole.state->status, "running");
  EXPECT_EQ(whole.state->exit_code, std::nullopt);
  EXPECT_EQ(whole.state->oom_killed, std::nullopt);
  EXPECT_EQ(whole.state->restart_count, 0U);
}

TEST_F(DockerEngineTest, AnOomOfTheMainProcess) {
  Listener listener("Docker", engine()->socket());
  const std::string id = create("--name main", "hog sleep 500 anon 256m");
  EXPECT_EQ(start_and_wait(id), 137);
  ASSERT_TRUE(listener.wait_for(id, Action::kDie));
  ASSERT_TRUE(listener.wait_for(id, Action::kOom));
  EXPECT_THAT(listener.actions_of(id), IsSupersetOf({Action::kCreate, Action::kStart, Action::kOom, Action::kDie}));
  for (const RuntimeEvent& event : listener.of(id)) {
    EXPECT_EQ(event.name, "main");
    EXPECT_GT(event.unix_ns, 0);
    if (event.action == Action::kDie) {
      EXPECT_EQ(event.exit_code, 137);
    }
  }
  const Container dead = inspected(api_, path_of(id));
  EXPECT_EQ(dead.state->status, "exited");
  EXPECT_EQ(dead.state->exit_code, 137);
  EXPECT_EQ(dead.state->oom_killed, true);
  EXPECT_EQ(dead.init_pid, std::nullopt);
}

TEST_F(DockerEngineTest, AnOomOfAChild) {
  const std::string id = create("", "hog sleep 500 child anon 256m");
  EXPECT_EQ(start_and_wait(id), 0);
  const Container dead = inspected(api_, path_of(id));
  EXPECT_EQ(dead.state->exit_code, 0);
  EXPECT_EQ(dead.state->oom_killed, true);
}

TEST_F(DockerEngineTest, RestartsAreCounted) {
  Listener listener("Docker", engine()->socket());
  const std::string id = create("--restart on-failure:2", "hog exit 3");
  ASSERT_EQ(run("start " + id).code, 0);
  ASSERT_TRUE(listener.wait_for(id, Action::kDie, 3)) << "once, and two times more";
  ASSERT_TRUE(comes_true([&] { return inspected(api_, path_of(id)).state->status == "exited"; }));
  const Container ended = inspected(api_, path_of(id));
  EXPECT_EQ(ended.state->restart_count, 2U);
  EXPECT_EQ(ended.state->exit_code, 3);
  EXPECT_EQ(ended.state->oom_killed, false);
  EXPECT_EQ(std::ranges::count(listener.actions_of(id), Action::kStart), 3);
}

// Docker 20.10 writes a container's labels over what the event tells: one more reason to ask again rather than believe.
TEST_F(DockerEngineTest, LabelsForgeEventsButNotTheState) {
  Listener listener("Docker", engine()->socket());
  const std::string id = create("--name honest --label exitCode=5 --label name=forged", "hog exit 3");
  EXPECT_EQ(start_and_wait(id), 3);
  ASSERT_TRUE(listener.wait_for(id, Action::kDie));
  EXPECT_EQ(listener.of(id).back().name, "honest");
  EXPECT_THAT(listener.of(id).back().exit_code, testing::AnyOf(3, 5));
  EXPECT_EQ(inspected(api_, path_of(id)).state->exit_code, 3);
  RecordProperty("exit_code_of_event", listener.of(id).back().exit_code.value_or(-1));
}

TEST_F(DockerEngineTest, AStartThatFailed) {
  const std::string id = create("", "/no/such/program");
  EXPECT_NE(run("start " + id).code, 0);
  const Container failed = inspected(api_, path_of(id));
  EXPECT_EQ(failed.state->exit_code, 127);
  EXPECT_THAT(failed.state->error, HasSubstr("no such file"));
}

TEST_F(DockerEngineTest, RenamedAndRemoved) {
  Listener listener("Docker", engine()->socket());
  const std::string id = create("--name before", "hog exit 0");
  EXPECT_EQ(looked_up(api_, path_of(id)).name, "before");
  ASSERT_EQ(run("rename before after").code, 0);
  ASSERT_TRUE(listener.wait_for(id, Action::kRename));
  EXPECT_EQ(listener.of(id).back().name, "after");
  EXPECT_EQ(looked_up(api_, path_of(id)).name, "after");
  ASSERT_EQ(run("rm " + id).code, 0);
  ASSERT_TRUE(listener.wait_for(id, Action::kDestroy));
  const auto gone = api_.look_up(path_of(id));
  ASSERT_TRUE(gone);
  EXPECT_FALSE(*gone);
  const auto inspected_gone = api_.inspect(path_of(id));
  ASSERT_TRUE(inspected_gone) << inspected_gone.error().message();
  EXPECT_FALSE(*inspected_gone);
}

TEST_F(DockerEngineTest, EventsOutliveTheDaemon) {
  Listener listener("Docker", engine()->socket());
  ASSERT_TRUE(engine()->stop_daemon());
  ASSERT_TRUE(comes_true([&] { return !listener.state().connected_since_unix_ns; }));
  EXPECT_THAT(listener.state().last_error, Not(IsEmpty()));
  const auto attempts = listener.state().attempts;
  std::this_thread::sleep_for(3s);
  EXPECT_GT(listener.state().attempts, attempts);
  EXPECT_LE(listener.state().attempts, attempts + 5) << "200 + 400 + 800 + 1600 ms";
  EXPECT_FALSE(api_.look_up(path_of(std::string(64, 'a'))));

  ASSERT_TRUE(engine()->up());
  ASSERT_TRUE(comes_true([&] { return listener.state().connected_since_unix_ns.has_value(); }));
  EXPECT_GE(listener.state().connections, 2U);
  const std::string id = create("--name again", "hog exit 7");
  EXPECT_EQ(start_and_wait(id), 7);
  ASSERT_TRUE(listener.wait_for(id, Action::kDie));
  EXPECT_EQ(looked_up(api_, path_of(id)).name, "again");
}

// A signal has stopped a thread when it has next been to the kernel: some answer until then.
bool stands_still(pid_t process) {
  std::error_code gone;
  const std::filesystem::directory_iterator threads("/proc/" + std::to_string(process) + "/task", gone);
  return !gone && std::ranges::all_of(threads, [](const auto& thread) {
    std::ifstream file(thread.path() / "status");
    std::string line;
    while (std::getline(file, line) && !line.starts_with("State:")) {
    }
    return line.find("T (stopped)") != std::string::npos;
  });
}

TEST_F(DockerEngineTest, ADaemonThatStandsStill) {
  const std::string id = create("--name still", "hog exit 0");
  const pid_t daemon = engine()->pid();
  ASSERT_EQ(::kill(daemon, SIGSTOP), 0);
  EXPECT_TRUE(comes_true([&] { return stands_still(daemon); }));
  const auto start = SteadyClock::now();
  const auto answer = DockerApi(engine()->socket(), 500ms).look_up(path_of(id));
  const auto end = SteadyClock::now();
  ASSERT_EQ(::kill(daemon, SIGCONT), 0);
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, ETIMEDOUT);
  EXPECT_LT(end - start, 5s);
  EXPECT_EQ(looked_up(api_, path_of(id)).name, "still") << "and goes on";
}

class PodmanEngineTest : public EngineTest<PodmanName> {
 protected:
  PodmanEngineTest() : api_({.root = engine() ? engine()->socket() : ""}, 5000ms) {}
  static CgroupPath path_of(const std::string& id) { return parse_cgroup_path("/libpod_parent/libpod-" + id); }

  PodmanApi api_;
};

TEST_F(PodmanEngineTest, AnOomOfTheMainProcess) {
  Listener listener("Podman", engine()->socket());
  const std::string id = create("--name main", "hog sleep 500 anon 256m");
  EXPECT_EQ(start_and_wait(id), 137);
  ASSERT_TRUE(listener.wait_for(id, Action::kDie));
  EXPECT_THAT(listener.actions_of(id), IsSupersetOf({Action::kCreate, Action::kStart, Action::kDie}));
  EXPECT_EQ(listener.of(id).back().exit_code, 137);
  EXPECT_EQ(listener.of(id).back().name, "main");

  const Container named = looked_up(api_, path_of(id));
  EXPECT_EQ(named.runtime, Runtime::kPodman);
  EXPECT_EQ(named.name, "main");
  EXPECT_EQ(named.image, "localhost/memcrest-test:latest");
  EXPECT_FALSE(named.pod);
  const Container dead = inspected(api_, path_of(id));
  EXPECT_EQ(dead.state->status, "exited");
  EXPECT_EQ(dead.state->exit_code, 137);
  EXPECT_EQ(dead.state->oom_killed ? (*dead.state->oom_killed ? "true" : "false") : "unknown",
            engine()->inspect(id, ".State.OOMKilled"))
      << "whatever Podman says, right or wrong";
  EXPECT_EQ(dead.memory_limit_bytes, kLimit);
}

TEST_F(PodmanEngineTest, APodAndItsInfraContainer) {
  const Done pod = run("pod create --name shop --network none");
  ASSERT_EQ(pod.code, 0) << pod.output;
  const std::string id = create("--pod shop --name web", "hog sleep 600000");
  const std::string infra = run("pod inspect -f '{{.InfraContainerID}}' shop").output;
  ASSERT_TRUE(is_container_id(infra)) << infra;
  ASSERT_EQ(run("start " + id).code, 0);
  const Container web = looked_up(api_, path_of(id));
  ASSERT_TRUE(web.pod);
  EXPECT_EQ(web.name, "web");
  EXPECT_EQ(web.pod->name, "shop");
  EXPECT_FALSE(web.pod->sandbox);
  const Container sandbox = looked_up(api_, path_of(infra));
  ASSERT_TRUE(sandbox.pod);
  EXPECT_TRUE(sandbox.pod->sandbox);
  EXPECT_EQ(sandbox.pod->uid, web.pod->uid);
  const Container whole = inspected(api_, path_of(id));
  EXPECT_EQ(std::to_string(whole.init_pid.value_or(0)), engine()->inspect(id, ".State.Pid"));
  EXPECT_EQ(whole.state->status, "running");
  EXPECT_EQ(run("pod rm -f -t 0 shop").code, 0);
}

TEST_F(PodmanEngineTest, EventsOutliveTheService) {
  Listener listener("Podman", engine()->socket());
  ASSERT_TRUE(engine()->stop_daemon());
  ASSERT_TRUE(comes_true([&] { return !listener.state().connected_since_unix_ns; }));
  ASSERT_TRUE(engine()->up());
  ASSERT_TRUE(comes_true([&] { return listener.state().connected_since_unix_ns.has_value(); }));
  const std::string id = create("--name again", "hog exit 7");
  EXPECT_EQ(start_and_wait(id), 7);
  ASSERT_TRUE(listener.wait_for(id, Action::kDie));
  ASSERT_EQ(run("rename again later").code, 0);
  ASSERT_TRUE(listener.wait_for(id, Action::kRename));
  EXPECT_EQ(looked_up(api_, path_of(id)).name, "later");
}

}  // namespace
}  // namespace memcrest
