#include "autodl/pulse.h"

#include <chrono>

#include "base/log.h"
#include "nacre/error.h"

namespace nacre {
namespace {

constexpr auto kPause = std::chrono::seconds(5);

}  // namespace

Pulse::Pulse(const std::string& place, const Trial& trial)
    : thread_([this, place, trial] {
        while (wait()) {
          try {
            Study study = Study::join(place);
            do {
              if (!study.alive(trial)) return;
            } while (wait());
          } catch (const Error& e) {
            log_debug({"no sign of life could be given: ", e.what()});
          }
        }
      }) {}

Pulse::~Pulse() {
  {
    std::lock_guard lock(mutex_);
    over_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

bool Pulse::wait() {
  std::unique_lock lock(mutex_);
  return !wake_.wait_for(lock, kPause, [this] { return over_; });
}

}  // namespace nacre
