// What registering shares with loading plug-ins.
#pragma once

#include <functional>

namespace nacre {

/// Called by everything that registers: if the plug-in that is being loaded on this thread fails,
/// `undo` runs. Outside of loading it is forgotten.
void undo_if_plugin_fails(std::function<void()> undo);

}  // namespace nacre
