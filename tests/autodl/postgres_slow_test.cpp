// Studies in a server: the same trials as in a file, workers that are killed, servers that go away.
// Starts a server of its own with Debian's postgresql, and is skipped where that is not installed.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <set>
#include <sstream>
#include <thread>

#include "nacre/autodl.h"
#include "nacre/error.h"
#include "nacre/study.h"
#include "tools/shell.h"

namespace nacre {
namespace {

using test::run_command;
using test::TempFolder;

const std::string kProgram = std::string(NACRE_BUILD_DIR) + "/nacre";

/// A server in a temporary folder, reached by its socket there; as root it is run by "nobody",
/// since it refuses to be run by root.
class Server {
 public:
  Server() {
    const auto found = run_command("ls -d /usr/lib/postgresql/*/bin | tail -n 1");
    const std::string bin = found.output.substr(0, found.output.find('\n'));
    if (!std::filesystem::exists(bin + "/initdb")) {
      why_ = "Debian's package postgresql is not installed";
      return;
    }
    const bool root = geteuid() == 0;
    as_ = "cd / && " + std::string(root ? "runuser -u nobody -- " : "") + bin + "/";
    folder_.write("password", "right");
    if (root) (void)run_command("chown -R nobody " + folder_.str());
    const auto made = run_command(as_ + "initdb -U nacre -A scram-sha-256 --no-sync --pwfile=" +
                                  (folder_ / "password").string() + " -D " + data());
    if (made.code != 0) {
      why_ = "initdb: " + made.output;
      return;
    }
    runs_ = start();
    if (!runs_) why_ = "the server did not start: " + folder_.read("log");
  }
  ~Server() {
    if (runs_) stop();
  }
  bool runs() const { return runs_; }
  const std::string& why() const { return why_; }

  bool start() {
    return run_command(as_ + "pg_ctl -w -D " + data() + " -l " + (folder_ / "log").string() +
                       " -o \"-k " + folder_.str() + " -c listen_addresses='' -c fsync=off\" start")
               .code == 0;
  }
  void stop() { (void)run_command(as_ + "pg_ctl -w -m immediate -D " + data() + " stop"); }
  std::string url(const std::string& base, const std::string& password = "right") const {
    return "postgresql://nacre:" + password + "@/" + base + "?host=" + folder_.str();
  }
  /// A new data base.
  std::string made(const std::string& base) const {
    const auto r =
        run_command(as_ + "psql -qc 'CREATE DATABASE " + base + "' '" + url("postgres") + "'");
    EXPECT_EQ(r.code, 0) << r.output;
    return url(base);
  }
  void tell(const std::string& sql) const {
    (void)run_command(as_ + "psql -qc \"" + sql + "\" '" + url("postgres") + "'");
  }

 private:
  std::string data() const { return (folder_ / "data").string(); }
  TempFolder folder_;
  std::string as_, why_;
  bool runs_ = false;
};

class PostgresTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { server = new Server; }
  static void TearDownTestSuite() { delete server; }
  void SetUp() override {
    if (!server->runs()) GTEST_SKIP() << server->why();
  }
  static std::string message_of(const std::function<void()>& f) {
    try {
      f();
    } catch (const Error& e) {
      return e.what();
    }
    return "nothing was thrown";
  }
  static Server* server;
};
Server* PostgresTest::server = nullptr;

SearchSpace mixed() {
  SearchSpace s;
  s.real("lr", 1e-5, 1, true).choice("model", {"mlp", "svm"});
  s.integer("width", 4, 256, true).when("model", {"mlp"});
  return s;
}
double loss_of(const Point& p) {
  return std::abs(std::log10(p.number("lr")) + 2) + (p.has("width") ? 0 : 1);
}

/// What a study may be asked for, with texts and numbers that a server might take amiss.
std::vector<Trial> used(const std::string& place) {
  StudyOptions o;
  o.seed = 7;
  o.about = "it's \"about\" a\\b \xc3\xa9";
  o.pruner = asha_pruner(1, 2);
  Study study(place, mixed(), o);
  Point first;
  first.values = {{"lr", 1.0 / 3}, {"model", "svm"}};
  study.enqueue({{"first", first}, {"second", first}});
  for (int i = 0; i < 25; ++i) {
    Trial t = study.ask();
    const bool end = study.report(t, 1, i == 3 ? std::nan("") : loss_of(t.point));
    if (i == 4)
      study.fail(t, "'; DROP TABLE trial; --\n\xff\xfe");
    else if (i == 5)
      study.tell(t, INFINITY);
    else if (end)
      study.prune(t, "others were better");
    else
      study.tell(t, loss_of(t.point), "{}");
  }
  Trial back = study.ask();
  (void)study.report(back, 1, 1);
  study.release(back);
  study.set_text("a", "$1 ? % \xe2\x82\xac");
  EXPECT_EQ(study.text("a"), "$1 ? % \xe2\x82\xac");
  EXPECT_FALSE(study.text("none"));
  EXPECT_EQ(Study::join(place).about(), o.about);
  EXPECT_EQ(Study::join(place).space(), mixed());
  EXPECT_EQ(Study::join(place).seed(), 7u);
  return study.trials();
}

TEST_F(PostgresTest, KeepsWhatAFileKeeps) {
  TempFolder folder;
  const auto file = used(folder / "study.db"), base = used(server->made("same"));
  ASSERT_EQ(file.size(), base.size());
  for (size_t i = 0; i < file.size(); ++i) {
    EXPECT_EQ(file[i].number, base[i].number);
    EXPECT_EQ(file[i].state, base[i].state) << i;
    EXPECT_EQ(file[i].point, base[i].point) << i;
    EXPECT_EQ(file[i].label, base[i].label);
    EXPECT_EQ(std::isnan(file[i].value), std::isnan(base[i].value)) << i;
    if (!std::isnan(file[i].value)) {
      EXPECT_EQ(file[i].value, base[i].value);
    }
    if (i != 4) {  // the broken bytes are replaced
      EXPECT_EQ(file[i].note, base[i].note);
    }
    EXPECT_EQ(file[i].reports.size(), base[i].reports.size());
  }
  StudyOptions o;
  o.seed = 8;
  EXPECT_THROW(Study(server->url("same"), mixed(), o), Error);
}

/// Trials until there are thirty; the point of a trial depends on its number only.
void work(const std::string& place, int killed_in) {
  StudyOptions o;
  o.sampler = random_sampler();
  Study study(place, mixed(), o);
  for (int i = 0; study.trials().size() < 30; ++i) {
    Trial t = study.ask();
    if (i == killed_in) raise(SIGKILL);
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    study.tell(t, loss_of(t.point));
  }
}

TEST_F(PostgresTest, TakesOverTheTrialOfAWorkerThatIsKilled) {
  TempFolder folder;
  std::vector<std::vector<Trial>> results;
  for (const std::string& place : {(folder / "study.db").string(), server->made("killed")}) {
    StudyOptions o;
    o.sampler = random_sampler();
    Study study(place, mixed(), o);
    std::vector<pid_t> workers;
    for (const int killed_in : {4, -1}) {
      const pid_t child = fork();
      if (child == 0) {
        work(place, killed_in);
        _exit(0);
      }
      workers.push_back(child);
    }
    int status = 0;
    waitpid(workers[0], &status, 0);
    EXPECT_TRUE(WIFSIGNALED(status));
    waitpid(workers[1], &status, 0);
    EXPECT_EQ(status, 0);
    while (auto left = study.ask_waiting()) study.tell(*left, loss_of(left->point));
    results.push_back(study.trials());
  }
  ASSERT_EQ(results[0].size(), 30u);
  ASSERT_EQ(results[1].size(), 30u);
  for (size_t i = 0; i < 30; ++i) {
    EXPECT_EQ(results[1][i].state, Trial::State::done) << i;
    EXPECT_EQ(results[0][i].point, results[1][i].point) << i;
    EXPECT_EQ(results[0][i].value, results[1][i].value) << i;
  }
}

std::string circle_csv() {
  std::ostringstream out;
  out << "x,y,kind\n";
  Rng rng(Key(3));
  for (int i = 0; i < 200; ++i) {
    const double x = rng.uniform(-1, 1), y = rng.uniform(-1, 1);
    out << x << "," << y << "," << (x * x + y * y < 0.6 ? "in" : "out") << "\n";
  }
  return out.str();
}

TEST_F(PostgresTest, HoldsAFitThatIsKilledAndGoesOn) {
  TempFolder folder;
  folder.write("circle.csv", circle_csv());
  const std::string fit = kProgram + " fit " + (folder / "circle.csv").string() + " --trials 5 ";
  ASSERT_EQ(run_command(fit + "--out " + (folder / "file").string()).code, 0);
  const std::string url = server->made("fit");
  const std::string here = "--out " + (folder / "base").string() + " --study '" + url + "'";
  const pid_t child = fork();
  if (child == 0) {
    freopen("/dev/null", "w", stderr);
    execl("/bin/sh", "sh", "-c", ("exec " + fit + here).c_str(), nullptr);
    _exit(1);
  }
  const auto done = [&] {
    int n = 0;
    try {
      for (const Trial& t : Study::join(url).trials()) n += t.state == Trial::State::done;
    } catch (const Error&) {
      return 0;  // not begun yet
    }
    return n;
  };
  while (done() < 2 && waitpid(child, nullptr, WNOHANG) == 0)
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  const auto again = run_command(fit + here);
  EXPECT_EQ(again.code, 2) << again.output;
  EXPECT_NE(again.output.find("choose another --study"), std::string::npos) << again.output;
  EXPECT_EQ(again.output.find("right"), std::string::npos) << "shows the password";
  const auto resumed = run_command(fit + here + " --resume");
  ASSERT_EQ(resumed.code, 0) << resumed.output;
  EXPECT_EQ(folder.read("base/model.safetensors"), folder.read("file/model.safetensors"));
  const auto joined = run_command(kProgram + " fit --join --study '" + url + "'");
  EXPECT_EQ(joined.code, 0) << joined.output;
  EXPECT_NE(joined.output.find("0 trials were run here"), std::string::npos) << joined.output;
}

TEST_F(PostgresTest, SaysWhyItCannotBeOpened) {
  const auto said = [](const std::string& url) { return message_of([&] { Study(url, mixed()); }); };
  EXPECT_NE(
      said(server->url("postgres", "wrong")).find("the password is not that of the user 'nacre'"),
      std::string::npos)
      << said(server->url("postgres", "wrong"));
  EXPECT_NE(said(server->url("none")).find("no data base 'none'; make it with: createdb none"),
            std::string::npos)
      << said(server->url("none"));
  for (const auto& url : {server->url("none"), server->url("postgres", "secret"),
                          std::string("postgresql://me:secret@127.0.0.1:1/x"),
                          std::string("postgresql://me:secret@127.0.0.1:many/x")})
    EXPECT_EQ(said(url).find(url.find("secret") == std::string::npos ? "right" : "secret"),
              std::string::npos)
        << said(url);
  EXPECT_NE(said("postgresql://me@127.0.0.1:1/x").find("Connection refused"), std::string::npos)
      << said("postgresql://me@127.0.0.1:1/x");
  const std::string bare = server->url("postgres");
  const std::string none = "postgresql://nacre" + bare.substr(bare.find('@'));
  EXPECT_NE(said(none).find("asks for a password"), std::string::npos) << said(none);
}

TEST_F(PostgresTest, OutlivesALostConnectionAndEndsWithoutAServer) {
  Study study(server->made("lost"), mixed());
  Trial t = study.ask();
  server->tell("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'lost'");
  study.tell(t, 1);  // by a new connection
  EXPECT_EQ(study.trials().at(0).state, Trial::State::done);
  t = study.ask();
  server->stop();
  const std::string said = message_of([&] { study.tell(t, 2); });
  EXPECT_NE(said.find("the connection to the study postgresql://nacre@/lost was lost"),
            std::string::npos)
      << said;
  ASSERT_TRUE(server->start());
  study.tell(t, 2);
  EXPECT_EQ(study.best()->value, 1);
  EXPECT_EQ(study.trials().size(), 2u);
}

}  // namespace
}  // namespace nacre
