#include "autodl/store.h"
#include "nacre/error.h"

namespace nacre {

std::unique_ptr<StudyStore> open_postgres_store(const std::string& url) {
  fail(Error::Kind::unsupported, {"nacre was built without libpq, so the study ", url,
                                  " cannot be opened; --study FILE takes a file of SQLite"});
}

}  // namespace nacre
