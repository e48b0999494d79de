// From a folder of clips to answers of the program and of a server.
#include "cli/program.h"
#include "data/vowels.h"
#include "serve/client.h"

namespace nacre::test {
namespace {

class Sounds : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = new TempFolder;
    for (const std::string c : {"a", "i", "o", "u"})
      for (uint64_t k = 0; k < 45; ++k)
        folder_->write(cat({"vowels/", k < 25 ? "train/" : "test/", c, "/", k, ".wav"}),
                       wav_of(vowel(c[0], k)));
    trained_ = nacre("train cnn --data " + path("vowels") +
                     " --epochs 12 --batch 20 --seed 1 --quiet --out " + path("run"));
  }
  static void TearDownTestSuite() { delete folder_; }
  static std::string path(const std::string& name) { return (*folder_ / name).string(); }
  static std::string model() { return path("run/model.safetensors"); }
  static TempFolder* folder_;
  static CommandResult trained_;
};
TempFolder* Sounds::folder_ = nullptr;
CommandResult Sounds::trained_;

TEST_F(Sounds, AreSaidToBeClips) {
  const CommandResult info = nacre("data info " + path("vowels"));
  EXPECT_EQ(info.code, 0);
  EXPECT_TRUE(holds(info.output, "folder, clips of 0.5 s at 16000 Hz\n")) << info.output;
  EXPECT_TRUE(holds(nacre("data check " + path("vowels")).output, "nothing is wrong"));
  expect_one_line(nacre("data convert " + path("vowels") + " " + path("x.csv")), 1,
                  "clips of sound have no other form");
  expect_one_line(nacre("fit " + path("vowels") + " --target kind --quiet --out " + path("fit")), 2,
                  "--target is for tables");
}

TEST_F(Sounds, ASmallNetworkLearnsThem) {
  ASSERT_EQ(trained_.code, 0) << trained_.output;
  const CommandResult score = nacre("eval " + model() + " --data " + path("vowels") + " --json");
  ASSERT_EQ(score.code, 0) << score.output;
  EXPECT_GE(parse_json(score.output, "eval").at("accuracy").number(), 0.9) << score.output;
}

TEST_F(Sounds, AreFitted) {
  const CommandResult done = nacre("fit " + path("vowels") + " --trials 2 --out " + path("fit"));
  ASSERT_EQ(done.code, 0) << done.output;
  EXPECT_TRUE(holds(done.output, "clips of sound (spectra of ")) << done.output;
  const std::string fitted = path("fit/model.safetensors");
  const CommandResult score = nacre("eval " + fitted + " --data " + path("vowels") + " --json");
  ASSERT_EQ(score.code, 0) << score.output;
  EXPECT_GE(parse_json(score.output, "eval").at("accuracy").number(), 0.8) << score.output;
  // The file takes clips of any rate and nothing else.
  folder_->write("i.wav", wav_of(vowel('i', 101, 44100)));
  EXPECT_TRUE(holds(nacre("predict " + fitted + " " + path("i.wav")).output, "i.wav: i"));
  folder_->write("p.pgm", "P5 2 2 255\n1234");
  expect_one_line(nacre("predict " + fitted + " " + path("p.pgm")), 1, "is for clips of sound");
  EXPECT_TRUE(holds(folder_->read("fit/report.html"), "content-type: audio/wav"));
  // Nothing turns a spectrum round, and the command that is printed trains the same model.
  const size_t at = done.output.find("again   nacre train ");
  ASSERT_NE(at, std::string::npos) << done.output;
  std::string command = done.output.substr(at + 14, done.output.find('\n', at) - at - 14);
  EXPECT_FALSE(holds(command, "hflip") || holds(command, "pictures=pass")) << command;
  command = command.substr(0, command.rfind(" --out "));
  ASSERT_EQ(nacre("-q " + command + " --out " + path("again")).code, 0) << command;
  if (holds(done.output, "again-")) return;  // the result is an ensemble of several
  EXPECT_EQ(nacre("predict --json " + fitted + " " + path("vowels/test/a")).output,
            nacre("predict --json " + path("again/model.safetensors") + " " + path("vowels/test/a"))
                .output);
}

TEST_F(Sounds, ArePredicted) {
  ASSERT_EQ(trained_.code, 0) << trained_.output;
  folder_->write("new/a.wav", wav_of(vowel('a', 100)));
  folder_->write("new/i.wav", wav_of(vowel('i', 100, 44100)));  // of another rate
  folder_->write("new/notes.txt", "none");
  const CommandResult all = nacre("predict " + model() + " " + path("new") + " --json");
  EXPECT_EQ(all.code, 0) << all.output;
  EXPECT_TRUE(holds(all.output, "notes.txt is no picture or clip and is passed over"));
  EXPECT_TRUE(holds(all.output, R"("label": "a")")) << all.output;
  EXPECT_TRUE(holds(all.output, R"("label": "i")")) << all.output;
  const CommandResult piped = nacre("predict " + model() + " - < " + path("new/i.wav"));
  EXPECT_EQ(piped.code, 0);
  EXPECT_TRUE(holds(piped.output, "standard input: i\n")) << piped.output;
  folder_->write("cut.wav", folder_->read("new/a.wav").substr(0, 100));
  expect_one_line(nacre("predict " + model() + " " + path("cut.wav")), 1, "is truncated");
  folder_->write("p.pgm", "P5 2 2 255\n1234");
  expect_one_line(nacre("predict " + model() + " " + path("p.pgm")), 1, "is for clips of sound");
  expect_one_line(nacre("predict " + model() + " " + path("none.wav")), 1, "no such file");
}

TEST_F(Sounds, AreHeardByAnExecutable) {
  ASSERT_EQ(trained_.code, 0) << trained_.output;
  ASSERT_EQ(nacre("convert " + model() + " --to exe --check --output " + path("vowels.exe")).code,
            0);
  folder_->write("u.wav", wav_of(vowel('u', 100, 22050)));
  const CommandResult heard = run_command(path("vowels.exe") + " --json --top 1 " + path("u.wav"));
  EXPECT_EQ(heard.code, 0) << heard.output;
  EXPECT_TRUE(holds(heard.output, R"([{"label": "u", "probability": 0.)")) << heard.output;
  folder_->write("u.pgm", "P5 2 2 255\n1234");
  expect_one_line(run_command(path("vowels.exe") + " " + path("u.pgm")), 1,
                  "is for clips of sound");
  folder_->write("u.wav", folder_->read("u.wav").substr(0, 99));
  expect_one_line(run_command(path("vowels.exe") + " " + path("u.wav")), 1, "is truncated");
}

TEST_F(Sounds, AreAnsweredByTheServer) {
  ASSERT_EQ(trained_.code, 0) << trained_.output;
  serve::ServeOptions options;
  options.models.poll = std::chrono::milliseconds(0);
  options.models.paths = {"vowels=" + model()};
  serve::Server server(options);
  const std::string body = wav_of(vowel('o', 100));
  for (const Headers& headers : {Headers{{"Content-Type", "audio/wav"}}, Headers{}}) {
    const Response r =
        Client(server.port()).ask("POST", "/v1/models/vowels:predict?top=2", body, headers);
    ASSERT_EQ(r.status, 200) << r.body;
    const Json p = r.json().at("predictions").list()[0];
    EXPECT_EQ(p.at("label").text(), "o") << r.body;
    EXPECT_EQ(p.at("classes").size(), 2u);
  }
  const Response bad = Client(server.port())
                           .ask("POST", "/v1/models/vowels:predict", body.substr(0, 40),
                                {{"Content-Type", "audio/wav"}});
  EXPECT_EQ(bad.status, 400);
  EXPECT_TRUE(holds(bad.error(), "the file: ")) << bad.body;
}

}  // namespace
}  // namespace nacre::test
