// A training checkpoint: that of a tiny run, with entries replaced. The input is an object of the
// objects "metadata", "position" and "tensors" (the file's header), whose fields stand for those of
// the checkpoint; null takes one away. What is taken has to go on for a step.
#include <filesystem>

#include "base/file.h"
#include "fuzz.h"
#include "memory_file.h"
#include "nacre/train.h"
#include "safetensors_bytes.h"

namespace {

struct TinyRun {
  TinyRun() : trainer(config(), data()) {
    for (int k = 0; k < 3; ++k) trainer.step(batch);  // a part of an update is left
    const std::string path = nacre::cat({std::filesystem::temp_directory_path().string(),
                                         "/nacre-fuzz-", static_cast<int64_t>(::getpid())});
    trainer.save_checkpoint(path);
    const std::string file = nacre::read_file(path, 1 << 20);
    std::filesystem::remove(path);
    uint64_t size;
    std::memcpy(&size, file.data(), 8);
    tensors = nacre::parse_json(file.substr(8, size), path);
    bytes = file.substr(8 + size);
    metadata = tensors.at("__metadata__");
    std::erase_if(metadata.fields(),  // the checksum, which holds for the file as it was
                  [](const auto& field) { return field.first == "nacre.crc32c"; });
    position = nacre::parse_json(metadata.at("position").text(), path);
  }
  static nacre::TrainConfig config() {
    nacre::TrainConfig c;
    c.model = "logistic_regression";
    c.schedule = "plateau:2:0.5";
    c.batch = 4;
    c.accumulate = 2;
    c.ema = 0.9;
    c.val_share = c.test_share = 0;
    c.workers = 0;
    return c;
  }
  nacre::DataSplits data() {
    std::vector<nacre::Sample> samples(4);
    for (size_t i = 0; i < samples.size(); ++i) {
      samples[i].features = {static_cast<float>(i), 1};
      samples[i].label = static_cast<int64_t>(i % 2);
      batch.x.insert(batch.x.end(), samples[i].features.begin(), samples[i].features.end());
      batch.labels.push_back(samples[i].label);
      batch.indices.push_back(static_cast<int64_t>(i));
    }
    batch.shape = {4, 2};
    batch.classes = 2;
    nacre::DataSplits s;
    s.train = nacre::from_samples(samples, {"a", "b"});
    return s;
  }

  nacre::Batch batch;
  nacre::Trainer trainer;
  nacre::Json tensors, metadata, position;
  std::string bytes;
};

nacre::Json replaced(nacre::Json j, const nacre::Json& input, std::string_view part) {
  if (const nacre::Json* changes = input.find(part))
    for (const auto& change : changes->fields()) {
      if (!change.second.is_null())
        j[change.first] = change.second;
      else
        std::erase_if(j.fields(), [&](const auto& field) { return field.first == change.first; });
    }
  return j;
}

}  // namespace

FUZZ_TARGET(checkpoint) {
  static TinyRun run;
  const nacre::Json given = nacre::parse_json(input, "input");
  nacre::Json metadata = run.metadata;
  metadata["position"] = nacre::print_json(replaced(run.position, given, "position"));
  std::map<std::string, std::string> texts;
  const nacre::Json entries = replaced(metadata, given, "metadata");
  for (const auto& [name, value] : entries.fields()) texts[name] = value.text();
  const MemoryFile file(
      safetensors_bytes(texts, replaced(run.tensors, given, "tensors"), run.bytes));
  run.trainer.load_checkpoint(file.path());
  run.trainer.step(run.batch);
}
