// The program as a server: signals, a port that is free again, an answer from a model that the
// program trained.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>

#include "base/file.h"
#include "cli/program.h"
#include "nacre/image.h"
#include "serve/client.h"

namespace nacre {
namespace {

using namespace std::chrono_literals;
using test::Client;

/// `nacre serve` as a child.
class Process {
 public:
  explicit Process(const std::vector<std::string>& arguments) {
    int out[2];
    if (::pipe(out) != 0) return;
    pid_ = ::fork();
    if (pid_ == 0) {
      ::dup2(out[1], 1);
      ::close(out[0]);
      ::close(out[1]);
      std::vector<char*> argv;
      std::vector<std::string> words = {test::kProgram, "-q", "serve"};
      words.insert(words.end(), arguments.begin(), arguments.end());
      for (std::string& w : words) argv.push_back(w.data());
      argv.push_back(nullptr);
      ::execv(argv[0], argv.data());
      ::_exit(127);
    }
    ::close(out[1]);
    std::string line;
    for (char c = 0; ::read(out[0], &c, 1) == 1 && c != '\n';) line += c;
    ::close(out[0]);
    if (const size_t at = line.rfind(':'); at != line.npos) port = std::atoi(line.c_str() + at + 1);
  }
  ~Process() {
    if (pid_ > 0 && !ended_) {
      ::kill(pid_, SIGKILL);
      wait();
    }
  }
  void signal(int number) { ::kill(pid_, number); }
  /// The exit code; 128 + the signal that ended it.
  int wait() {
    int status = 0;
    ::waitpid(pid_, &status, 0);
    ended_ = true;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }
  int port = 0;

 private:
  pid_t pid_ = -1;
  bool ended_ = false;
};

class CliServe : public ::testing::Test {
 protected:
  CliServe() { test::save_table_model(model_); }
  test::TempFolder folder_;
  const std::string model_ = (folder_ / "table.safetensors").string();
};

TEST_F(CliServe, SigtermFinishesWhatWasBegunAndExitsWith0) {
  Process p({model_, "--port", "0", "--batch-wait", "700"});
  ASSERT_GT(p.port, 0);
  Client busy(p.port);
  busy.send(Client::text("POST", "/v2/models/table/infer", test::infer_body("[1,1,0]"), {}));
  std::this_thread::sleep_for(200ms);
  p.signal(SIGTERM);
  EXPECT_EQ(busy.receive().status, 200);
  EXPECT_EQ(p.wait(), 0);
  // The port is free again at once, also after a kill.
  Process again({model_, "--port", std::to_string(p.port)});
  EXPECT_EQ(Client(again.port).ask("GET", "/v2/health/ready").status, 200);
  again.signal(SIGKILL);
  again.wait();
  Process third({model_, "--port", std::to_string(p.port)});
  EXPECT_EQ(Client(third.port).ask("GET", "/v2/health/ready").status, 200);
  test::expect_one_line(test::nacre("-q serve " + model_ + " --port " + std::to_string(p.port)), 1,
                        "cannot listen on 127.0.0.1 port");
}

TEST_F(CliServe, ASecondSignalEndsItAtOnce) {
  Process p({model_, "--port", "0", "--batch-wait", "20000"});
  Client busy(p.port);
  busy.send(Client::text("POST", "/v2/models/table/infer", test::infer_body("[1,1,0]"), {}));
  std::this_thread::sleep_for(200ms);
  p.signal(SIGTERM);
  std::this_thread::sleep_for(200ms);
  p.signal(SIGTERM);
  EXPECT_EQ(p.wait(), 130);
}

TEST_F(CliServe, MistakesAreOneLine) {
  using test::expect_one_line;
  using test::nacre;
  expect_one_line(nacre("serve " + (folder_ / "none.safetensors").string()), 1, "does not exist");
  expect_one_line(nacre("serve " + model_ + " --port 70000"), 2, "--port");
  expect_one_line(nacre("-q serve " + model_ + " --host here"), 2, "no address");
  expect_one_line(nacre("serve " + model_ + " --tls-cert a.pem"), 2, "go together");
  expect_one_line(nacre("-q serve " + model_ + " --tls-cert a.pem --tls-key b.pem"), 2, "a.pem");
  folder_.write("broken.safetensors", "no model");
  expect_one_line(nacre("serve " + (folder_ / "broken.safetensors").string()), 1, "broken");
  folder_.write("empty/notes.txt", "");
  expect_one_line(nacre("serve " + (folder_ / "empty").string()), 1, "holds no model");
}

TEST_F(CliServe, TakesATextAsTheReportOfItsFitSays) {
  for (int i = 0; i < 20; ++i) {
    folder_.write("texts/cats/" + std::to_string(i) + ".txt", "the cat sat " + std::to_string(i));
    folder_.write("texts/dogs/" + std::to_string(i) + ".txt", "a dog ran " + std::to_string(i));
  }
  const std::string out = (folder_ / "run").string();
  const auto fitted =
      test::nacre("-q fit " + (folder_ / "texts").string() + " --trials 1 --out " + out);
  ASSERT_EQ(fitted.code, 0) << fitted.output;
  EXPECT_NE(folder_.read("run/report.html").find("text/plain"), std::string::npos);
  Process p({out + "/model.safetensors", "--port", "0"});
  ASSERT_GT(p.port, 0);
  const auto r = Client(p.port).ask("POST", "/v1/models/model:predict", "the cat sat\n",
                                    {{"Content-Type", "text/plain"}});
  ASSERT_EQ(r.status, 200) << r.body;
  EXPECT_EQ(r.json().at("predictions").list()[0].at("label").text(), "cats");
}

TEST_F(CliServe, HttpsWithACertificate) {
  const std::string cert = (folder_ / "cert.pem").string(), key = (folder_ / "key.pem").string();
  if (test::run_command("command -v openssl && command -v curl").code != 0)
    GTEST_SKIP() << "needs the programs openssl and curl";
  ASSERT_EQ(
      test::run_command("openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost "
                        "-addext subjectAltName=DNS:localhost -keyout " +
                        key + " -out " + cert)
          .code,
      0);
  Process p({model_, "--port", "0", "--tls-cert", cert, "--tls-key", key});
  ASSERT_GT(p.port, 0);
  const std::string at = "https://localhost:" + std::to_string(p.port);
  const auto r = test::run_command("curl -sS --cacert " + cert + " " + at +
                                   "/v1/models/table:predict -H 'content-type: application/json' "
                                   "-d '{\"row\":{\"x\":3,\"city\":\"Oslo\"}}'");
  EXPECT_TRUE(test::holds(r.output, "\"label\":\"yes\"")) << r.output;
  EXPECT_NE(test::run_command("curl -sS --cacert " + cert + " --tls-max 1.1 " + at).code, 0);
  EXPECT_EQ(Client(p.port).ask("GET", "/").status, 0);  // no answer without TLS
}

}  // namespace
}  // namespace nacre
