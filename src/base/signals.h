// Ctrl-C: the first one asks for an orderly stop, the second one ends the process at once.
#pragma once

namespace nacre {

/// From now on the first SIGINT or SIGTERM makes stop_requested() true, and the second one exits
/// with code 130. A file limit (SIGXFSZ) becomes an error of the write instead of a kill. For
/// programs only; a library leaves signals to its host.
void install_stop_signals();

/// True after a signal or request_stop(). Loops of long work look at it after each step.
bool stop_requested();
/// Throws Error(cancelled) if a stop was requested, for work that has nothing to save.
void check_stop();
void request_stop();
void clear_stop_request();

}  // namespace nacre
