// Signs of life while a trial is at work, which may be silent for long.
#pragma once

#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>

#include "nacre/study.h"

namespace nacre {

/// While it exists a thread says every few seconds, over a connection of its own, that this process
/// works on the trial. What fails there is left to the calls of the study itself.
class Pulse {
 public:
  Pulse(const std::string& place, const Trial& trial);
  ~Pulse();
  Pulse(const Pulse&) = delete;
  Pulse& operator=(const Pulse&) = delete;

 private:
  bool wait();  // false at the end
  std::mutex mutex_;
  std::condition_variable wake_;
  bool over_ = false;
  std::thread thread_;
};

}  // namespace nacre
