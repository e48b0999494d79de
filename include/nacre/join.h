// Joins tables, JSON lines and texts on a key, in little memory whatever their size.
//
//   JoinOptions o;
//   o.sources = {"clients.csv", "events.jsonl", "letters/"};
//   o.on = {"id"};
//   o.out = "all.csv";
//   const JoinResult r = join_tables(o);
//   std::cout << r.rows << " rows of " << r.columns.size() << " columns\n";
//
// What comes out is a table that open_dataset reads. Rows are divided by their key into parts on
// the disk, which are joined one after the other (a hash join, Kitsuregawa et al. 1983).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace nacre {

struct JoinOptions {
  /// The first is a table (.csv, .tsv) or JSON lines (.jsonl, .ndjson), and its rows stay; to them
  /// come the columns of the others, which may also be folders of texts, named KEY.txt or with
  /// another ending. Fields of objects in JSON are columns "outer.inner", lists are JSON.
  std::vector<std::string> sources;
  /// Name of the key in all tables, or one for each source that is no folder.
  std::vector<std::string> on;
  std::string out;                 ///< .csv file to write
  std::vector<std::string> texts;  ///< columns of paths, replaced by what is in those files
  /// Leave out rows that have no match in some source; else their cells there are empty.
  bool inner = false;
  uint64_t memory = uint64_t{32} << 20;  ///< bytes of rows that are held at once, about
  /// Throws Error(usage) for settings that cannot be meant.
  void check() const;
};

struct JoinSource {
  std::string name;
  int64_t rows = 0;     ///< read; of a folder: texts that were used
  int64_t without = 0;  ///< rows of the first source that have no match here
  int64_t keyless = 0;  ///< rows left out as they have no key (not of the first source)
};

struct JoinResult {
  int64_t rows = 0;  ///< written; a row with several matches is written once for each
  std::vector<std::string> columns;
  std::vector<JoinSource> sources;
};

/// Rows come in the order of the first source. A column that an earlier source has too is called
/// SOURCE.COLUMN. Throws Error(data) for a broken source or one whose rows have nearly all the same
/// key, Error(io) when the disk is full; nothing stays then.
JoinResult join_tables(const JoinOptions& options);

}  // namespace nacre
