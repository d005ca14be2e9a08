// SPDX-License-Identifier: Apache-2.0
// Runs what may hang for as long as somebody else likes: a read of a process's memory, of files that a user's own file
// system serves. It is done in a thread of its own, which is left alone once the patience is over.
#pragma once

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <system_error>
#include <thread>
#include <type_traits>
#include <utility>

namespace memcrest {

// Threads that hang are bounded: one for each of those who may be to blame, `most_stuck` in all. Thread-safe.
class Patience {
 public:
  Patience(std::chrono::milliseconds longest, std::size_t most_stuck) : longest_(longest), most_stuck_(most_stuck) {}

  // What `work` returns. Nothing: it did not return in time, or what was run before on account of `whom` still hangs,
  // or there are too many such. `work` must own all that it uses, and may not throw.
  template <typename Work>
  [[nodiscard]] std::optional<std::invoke_result_t<Work&>> run(const std::string& whom, Work work) const {
    struct Task {
      std::optional<std::invoke_result_t<Work&>> answer;
      bool given_up = false;
    };
    std::unique_lock lock(book_->mutex);
    if (book_->stuck.contains(whom) || book_->stuck.size() >= most_stuck_) {
      return std::nullopt;
    }
    const auto task = std::make_shared<Task>();
    try {
      std::thread([book = book_, task, whom, work = std::move(work)]() mutable {
        auto answer = work();
        const std::lock_guard guard(book->mutex);
        if (task->given_up) {
          book->stuck.erase(whom);
        } else {
          task->answer = std::move(answer);
          book->done.notify_all();
        }
      }).detach();
    } catch (const std::system_error&) {  // no more threads
      return std::nullopt;
    }
    if (!book_->done.wait_for(lock, longest_, [&] { return task->answer.has_value(); })) {
      task->given_up = true;
      book_->stuck.insert(whom);
    }
    return std::move(task->answer);
  }

 private:
  struct Book {  // shared with the threads, which may outlive this
    std::mutex mutex;
    std::condition_variable done;
    std::set<std::string> stuck;
  };

  std::chrono::milliseconds longest_;
  std::size_t most_stuck_;
  std::shared_ptr<Book> book_ = std::make_shared<Book>();
};

}  // namespace memcrest
