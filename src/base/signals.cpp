#include "base/signals.h"

#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <string_view>

#include "nacre/error.h"

namespace nacre {
namespace {

std::atomic<bool> stop{false};
static_assert(std::atomic<bool>::is_always_lock_free);

extern "C" void on_stop_signal(int) {
  const int saved = errno;
  if (stop.exchange(true)) ::_exit(130);
  constexpr std::string_view text = "\nstopping; press Ctrl-C again to stop at once\n";
  (void)!::write(STDERR_FILENO, text.data(), text.size());
  errno = saved;
}

}  // namespace

void install_stop_signals() {
  struct sigaction action = {};
  action.sa_handler = on_stop_signal;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  signal(SIGXFSZ, SIG_IGN);
}

bool stop_requested() { return stop.load(std::memory_order_relaxed); }
void check_stop() {
  if (stop_requested()) fail(Error::Kind::cancelled, {"stopped on request"});
}
void request_stop() { stop = true; }
void clear_stop_request() { stop = false; }

}  // namespace nacre
