#include "labs/lab.h"

#include <cstdio>

#include "base/file.h"
#include "base/json.h"
#include "cli/commands.h"
#include "cli/show.h"

namespace nacre::cli {

int run_lab_list() {
  for (const LabEntry* lab : all_labs())
    std::printf("%-20s %s\n%-20s options: %s\n%-20s %s\n", lab->name, lab->summary, "",
                lab_options(*lab).c_str(), "", lab->reading);
  return 0;
}

int run_lab(const LabArgs& a) {
  const LabEntry& lab = find_lab(a.name);
  std::string options = a.options;
  if (a.epochs > 0) options += " epochs=" + std::to_string(a.epochs);
  if (a.seed >= 0) options += " seed=" + std::to_string(a.seed);
  options = lab_options(lab, options);
  const std::string out = a.out.empty() ? free_folder("labs/" + a.name) : a.out;
  if (file_exists(out + "/config.yaml"))
    fail(Error::Kind::usage, {out, " holds a training run; choose another --out"});
  const std::string data = digits_at(a.data);
  const LabResult result = nacre::run_lab(lab, data, options);
  write_lab(out, lab, data, options, result);
  if (a.json) {
    Json j = Json::object();
    for (const auto& [name, value] : result.numbers) j[name] = value;
    std::printf("%s\n", print_json(j).c_str());
    return 0;
  }
  for (const auto& table : result.tables) {
    std::vector<size_t> width;
    for (const auto& c : table.columns) width.push_back(c.size());
    for (const auto& row : table.rows)
      for (size_t i = 0; i < row.size(); ++i) width[i] = std::max(width[i], row[i].size());
    const auto line = [&](const std::vector<std::string>& cells) {
      for (size_t i = 0; i < cells.size(); ++i)
        std::printf("%s%-*s", i ? "  " : "", static_cast<int>(width[i]), cells[i].c_str());
      std::printf("\n");
    };
    std::printf("%s\n", table.title.c_str());
    line(table.columns);
    for (const auto& row : table.rows) line(row);
    std::printf("\n");
  }
  std::printf("%s\nresults %s/results.json\nreport  %s/report.html\n", result.finding.c_str(),
              out.c_str(), out.c_str());
  return 0;
}

}  // namespace nacre::cli
