// SPDX-License-Identifier: Apache-2.0
#include "vm/watch.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <optional>
#include <stdexcept>

#include "vm/machine.h"

namespace memcrest::scenarios {
namespace {

using namespace std::chrono_literals;

struct Pipe {
  Fd read;
  Fd write;
};

Pipe make_pipe() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
    throw std::runtime_error("no pipe");
  }
  return {Fd(ends[0]), Fd(ends[1])};
}

pid_t start(std::vector<std::string> argv, const Fd& out, const Fd* err) {
  std::vector<char*> pointers;
  for (std::string& word : argv) {
    pointers.push_back(word.data());
  }
  pointers.push_back(nullptr);
  const pid_t pid = ::fork();
  if (pid == 0) {
    ::dup2(out.get(), STDOUT_FILENO);
    if (err != nullptr) {
      ::dup2(err->get(), STDERR_FILENO);
    }
    ::execv(pointers[0], pointers.data());
    _exit(127);
  }
  return pid;
}

int exit_code_of(int status) { return WIFEXITED(status) ? WEXITSTATUS(status) : -1; }

}  // namespace

Watch::Watch(const std::vector<std::string>& argv, const std::string& sign) {
  Pipe out = make_pipe();
  Pipe err = make_pipe();
  pid_ = start(argv, out.write, &err.write);
  if (pid_ < 0) {
    throw std::runtime_error("cannot start " + argv[0]);
  }
  out_ = std::move(out.read);
  err_ = std::move(err.read);
  out.write.reset();
  err.write.reset();
  readers_.emplace_back([this] { read_lines(out_.get(), false); });
  readers_.emplace_back([this] { read_lines(err_.get(), true); });
  int status = 0;
  const bool told = comes_true(
      [&] {
        if (::waitpid(pid_, &status, WNOHANG) == pid_) {
          pid_ = -1;
          exit_code_ = exit_code_of(status);
          return true;
        }
        const std::lock_guard lock(mutex_);
        attached_ = log_.find(sign) != std::string::npos;
        return attached_;
      },
      60s);
  if (!told) {
    ::kill(pid_, SIGKILL);
  }
}

Watch::~Watch() { stop(); }

int Watch::stop() {
  if (pid_ > 0) {
    int status = 0;
    ::kill(pid_, SIGTERM);
    if (!comes_true([&] { return ::waitpid(pid_, &status, WNOHANG) == pid_; }, 20s)) {
      ::kill(pid_, SIGKILL);
      ::waitpid(pid_, &status, 0);
    }
    exit_code_ = exit_code_of(status);
    pid_ = -1;
  }
  for (std::thread& reader : readers_) {
    reader.join();  // at the end of its pipe
  }
  readers_.clear();
  return exit_code_;
}

std::vector<Json> Watch::incidents() const {
  const std::lock_guard lock(mutex_);
  return incidents_;
}

std::size_t Watch::bad_lines() const {
  const std::lock_guard lock(mutex_);
  return bad_lines_;
}

std::string Watch::log() const {
  const std::lock_guard lock(mutex_);
  return log_;
}

void Watch::read_lines(int fd, bool is_log) {
  std::string rest;
  std::array<char, 65536> block{};
  for (;;) {
    const ssize_t got = ::read(fd, block.data(), block.size());
    if (got <= 0) {
      return;
    }
    const std::lock_guard lock(mutex_);
    if (is_log) {
      log_.append(block.data(), static_cast<std::size_t>(got));
      continue;
    }
    rest.append(block.data(), static_cast<std::size_t>(got));
    for (std::size_t end = 0; (end = rest.find('\n')) != std::string::npos; rest.erase(0, end + 1)) {
      Json incident = Json::parse(rest.substr(0, end), nullptr, false);
      if (incident.is_object() && incident.contains("kind")) {
        incidents_.push_back(std::move(incident));
      } else {
        ++bad_lines_;
      }
    }
  }
}

std::string output_of(const std::vector<std::string>& argv, int* code) {
  Pipe out = make_pipe();
  const pid_t pid = start(argv, out.write, nullptr);
  out.write.reset();
  std::string text;
  std::array<char, 65536> block{};
  for (ssize_t got = 0; (got = ::read(out.read.get(), block.data(), block.size())) > 0;) {
    text.append(block.data(), static_cast<std::size_t>(got));
  }
  int status = 0;
  ::waitpid(pid, &status, 0);
  *code = exit_code_of(status);
  return text;
}

}  // namespace memcrest::scenarios
