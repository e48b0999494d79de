#include <cstdio>
#include <sstream>

#include "base/json.h"
#include "base/log.h"
#include "cli/commands.h"
#include "nacre/join.h"

namespace nacre::cli {

int run_data_join(const JoinArgs& a) {
  JoinOptions o;
  o.sources = a.sources;
  std::stringstream names(a.on);
  for (std::string name; std::getline(names, name, ',');) o.on.push_back(name);
  o.out = a.out;
  o.texts = a.texts;
  o.inner = a.inner;
  const JoinResult r = join_tables(o);
  if (a.json) {
    Json j = Json::object(), columns = Json::array(), sources = Json::array();
    for (const std::string& c : r.columns) columns.push_back(c);
    for (const JoinSource& s : r.sources) {
      Json one = Json::object();
      one["source"] = s.name;
      one["rows"] = s.rows;
      one["without"] = s.without;
      one["keyless"] = s.keyless;
      sources.push_back(one);
    }
    j["out"] = o.out;
    j["rows"] = r.rows;
    j["columns"] = columns;
    j["sources"] = sources;
    std::printf("%s\n", print_json(j).c_str());
    return 0;
  }
  for (size_t k = 0; k < r.sources.size(); ++k) {
    const JoinSource& s = r.sources[k];
    if (s.keyless)
      log_warning(
          {s.keyless, " of ", s.rows, " rows of ", s.name, " are left out: they have no key"});
    if (k > 0 && s.without)
      log_info(
          {"no match in ", s.name, ": ", s.without, o.inner ? ", left out" : ", cells are empty"});
  }
  std::printf("wrote %s: %lld rows of %zu columns\n", o.out.c_str(), static_cast<long long>(r.rows),
              r.columns.size());
  return 0;
}

}  // namespace nacre::cli
