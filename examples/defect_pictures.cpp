// Pictures for examples/defect_inspection: pieces of a photographed surface, half of them with a
// faint scratch or pit.
//
//   build/examples/defect_pictures OUT [LABELLED] [HELD_OUT]
//
// writes OUT/line/{good,defect}/ (LABELLED pictures, 60 by default) and OUT/held-out/{good,defect}/
// (200). The held-out ones come from other squares of the photograph.
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>

#include "nacre/error.h"
#include "nacre/image.h"
#include "nacre/random.h"

using namespace nacre;

namespace {

constexpr int kSide = 48;
constexpr float kContrast = 0.03f;

/// Darkens pixels by how near they are to the polyline of a slightly bent scratch.
void scratch(Image& image, Rng& rng) {
  const double length = rng.uniform(20, 38), angle = rng.uniform(0, 2 * M_PI),
               bend = rng.uniform(-0.03, 0.03), width = rng.uniform(0.9, 1.3);
  const double cx = rng.uniform(14, kSide - 14), cy = rng.uniform(14, kSide - 14);
  for (int y = 0; y < kSide; ++y)
    for (int x = 0; x < kSide; ++x) {
      double nearest = 1e9;
      for (double t = -length / 2; t <= length / 2; t += 0.5) {
        const double a = angle + bend * t;
        nearest = std::min(nearest, std::hypot(cx + t * std::cos(a) - x, cy + t * std::sin(a) - y));
      }
      image.at(x, y) -=
          kContrast * static_cast<float>(std::exp(-0.5 * nearest * nearest / width / width));
    }
}

void pit(Image& image, Rng& rng) {
  const double cx = rng.uniform(8, kSide - 8), cy = rng.uniform(8, kSide - 8),
               size = rng.uniform(2.2, 3.2);
  for (int y = 0; y < kSide; ++y)
    for (int x = 0; x < kSide; ++x) {
      const double d = std::hypot(cx - x, cy - y) / size;
      image.at(x, y) -= kContrast * static_cast<float>(std::exp(-0.5 * d * d));
    }
}

/// A piece of a photograph. It is divided into squares, every third of which is for held-out
/// pieces.
Image piece(const Image& texture, bool held_out, Rng& rng) {
  constexpr int kSquare = 68;
  int column = 0, row = 0;
  do {
    column = static_cast<int>(rng.below(static_cast<uint64_t>(texture.width / kSquare)));
    row = static_cast<int>(rng.below(static_cast<uint64_t>(texture.height / kSquare)));
  } while (((column + row) % 3 == 0) != held_out);
  const int x0 = column * kSquare + static_cast<int>(rng.below(kSquare - kSide + 1)),
            y0 = row * kSquare + static_cast<int>(rng.below(kSquare - kSide + 1));
  Image image(kSide, kSide, 1);
  for (int y = 0; y < kSide; ++y)
    for (int x = 0; x < kSide; ++x) image.at(x, y) = texture.at(x0 + x, y0 + y);
  return image;
}

void write(const std::string& folder, const Image& texture, bool held_out, int count, Rng rng) {
  for (int i = 0; i < count; ++i) {
    const bool bad = i % 2 == 1;
    Image image = piece(texture, held_out, rng);
    if (bad) rng.bernoulli(0.5) ? scratch(image, rng) : pit(image, rng);
    const std::string place = folder + (bad ? "/defect" : "/good");
    std::filesystem::create_directories(place);
    char name[32];
    std::snprintf(name, sizeof name, "/%03d.png", i);
    write_png(place + name, image);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "defect_pictures OUT [LABELLED] [HELD_OUT]\n");
    return 2;
  }
  try {
    const std::string out = argv[1];
    const Image texture = to_channels(read_image("data/textures/cell.png"), 1);
    write(out + "/line", texture, false, argc > 2 ? std::atoi(argv[2]) : 60, Rng(Key(1)));
    write(out + "/held-out", texture, true, argc > 3 ? std::atoi(argv[3]) : 200, Rng(Key(2)));
  } catch (const Error& e) {
    std::fprintf(stderr, "error: %s\n", e.what());
    return 1;
  }
  return 0;
}
