// A program file behind an executable: the executable, zeros up to a multiple of 64, the program
// file, its u64 size and "NACREEND". The program file has a checksum of its own.
#pragma once

#include <elf.h>

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace nacre::embed {

constexpr std::string_view kEnd = "NACREEND";
/// Stands in every runner.
constexpr const char kMark[] = "nacre_runner: program files of version 1";

inline std::string with_program(std::string executable, std::string_view program) {
  executable.resize((executable.size() + 63) / 64 * 64);
  executable += program;
  const uint64_t size = program.size();
  executable.append(reinterpret_cast<const char*>(&size), sizeof size);
  return executable += kEnd;
}

/// The program file behind an executable; empty if there is none.
inline std::string_view appended(std::string_view executable) {
  const size_t tail = sizeof(uint64_t) + kEnd.size();
  if (!executable.ends_with(kEnd) || executable.size() < tail) return {};
  const std::string_view rest = executable.substr(0, executable.size() - tail);
  uint64_t size;
  std::memcpy(&size, rest.data() + rest.size(), sizeof size);
  return size <= rest.size() ? rest.substr(rest.size() - size) : std::string_view();
}

/// Whether bytes follow the sections of an executable, as a program file that was put behind it
/// does, also where its end is lost.
inline bool has_more(std::string_view executable) {
  Elf64_Ehdr head;
  if (executable.size() < sizeof head) return false;
  std::memcpy(&head, executable.data(), sizeof head);
  return executable.size() > head.e_shoff + uint64_t{head.e_shnum} * head.e_shentsize;
}

}  // namespace nacre::embed
