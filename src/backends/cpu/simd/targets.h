// Which instruction sets the multi-target files are compiled for. Include before any Highway
// header.
#pragma once

// AVX-512, AVX2 and a portable fallback; the older x86 levels would only add compile time.
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SSE4)
