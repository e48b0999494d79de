// Loading JPEG files with augmentation: 128 pictures of 500x375, batches of 32 of 224x224. The
// folder is in the environment variable BENCH_PICTURES, a folder per class.
#include <cstdlib>

#include "nacre/data.h"
#include "workload.h"

using namespace workload;

int main(int argc, char** argv) {
  return measure(argc, argv, [](const Arguments&) {
    const char* folder = std::getenv("BENCH_PICTURES");
    if (!folder) fail(Error::Kind::usage, {"BENCH_PICTURES has to name a folder of pictures"});
    const DatasetPtr pictures = open_dataset(folder).train;
    LoaderOptions o;
    o.batch = 32;
    o.workers = 2;
    auto loader = std::make_shared<DataLoader>(
        pictures,
        Transform::parse("random_resized_crop(224)|hflip()|"
                         "normalize(mean=[0.485,0.456,0.406],std=[0.229,0.224,0.225])"),
        shuffled(pictures->size()), o);
    auto epoch = std::make_shared<int64_t>(0);
    Workload w;
    w.run = [=] {
      int64_t seen = 0;
      loader->start((*epoch)++);
      while (auto batch = loader->next()) seen += batch->size();
      return Tensors{Tensor(seen)};
    };
    return w;
  });
}
