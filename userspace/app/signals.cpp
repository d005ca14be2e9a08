// SPDX-License-Identifier: Apache-2.0
#include "app/signals.h"

#include <signal.h>
#include <unistd.h>

#include <initializer_list>

namespace memcrest {
namespace {

volatile sig_atomic_t g_stop = 0;  // NOLINT: a signal handler can reach nothing else

void on_stop(int number) {
  if (g_stop != 0 && number != SIGHUP) {
    _exit(128 + number);
  }
  g_stop = 1;
}

volatile sig_atomic_t g_reload = 0;  // NOLINT: as above

void on_reload(int /*number*/) { g_reload = 1; }

}  // namespace

void install_stop_signals() {
  struct sigaction stop{};
  stop.sa_handler = on_stop;  // no SA_RESTART: waits must return
  sigemptyset(&stop.sa_mask);
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) {
    struct sigaction before{};
    sigaction(number, nullptr, &before);
    // nohup and a shell's background jobs ignore some on purpose: SIGTERM must always work.
    if (before.sa_handler != SIG_IGN || number == SIGTERM) {
      sigaction(number, &stop, nullptr);
    }
  }
  signal(SIGPIPE, SIG_IGN);
  // Whoever started us may have had them blocked.
  sigset_t wanted;
  sigemptyset(&wanted);
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) {
    sigaddset(&wanted, number);
  }
  pthread_sigmask(SIG_UNBLOCK, &wanted, nullptr);
}

void install_reload_signal() {
  struct sigaction reload{};
  reload.sa_handler = on_reload;
  sigemptyset(&reload.sa_mask);
  sigaction(SIGHUP, &reload, nullptr);
}

bool take_reload_request() {
  const bool asked = g_reload != 0;
  g_reload = 0;
  return asked;
}

bool stop_requested() { return g_stop != 0; }

}  // namespace memcrest
