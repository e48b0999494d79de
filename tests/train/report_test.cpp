#include "train/report.h"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <limits>

#include "base/file.h"
#include "base/text.h"
#include "nacre/error.h"
#include "train/terminal.h"

namespace nacre {
namespace {

size_t count(const std::string& text, const std::string& part) {
  size_t n = 0;
  for (size_t at = text.find(part); at != text.npos; at = text.find(part, at + 1)) ++n;
  return n;
}

bool holds(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

RunReport full_report(const std::string& text) {
  RunReport r;
  r.title = r.subtitle = r.model = r.config = text;
  r.headline = r.environment = r.usage = {{text, text}};
  r.warnings = r.classes = {text};
  r.charts = {{text, text, text, {{text, {1, 2, 3}, {0.5, NAN, 0.25}}}}};
  r.confusion = {2, {3, 1, 0, 4}};
  r.calibration = Calibration{{{0.9, 0.8, 10}, {0, 0, 0}}, 0.1, 0.1};
  r.mistakes = {{"\x89PNG", "\x89PNG", text, text, 0.5, text}};
  r.layers = {{text, text, text, 11689512}};
  r.kernels_of = text;
  r.kernels = {"\x89PNG", "\x89PNG"};
  return r;
}

TEST(Report, HasEverySectionAndNeedsNothingElse) {
  const std::string html = render_report(full_report("name"));
  for (const char* title : {"Training", "Confusion matrix", "Classes", "confidence be trusted",
                            "Worst mistakes", "How to use it", "Layers",
                            "Kernels of the first convolution", "Configuration", "Environment"})
    EXPECT_EQ(
        count(html, std::string(title) + "</h2>") + count(html, std::string(title) + "?</h2>"), 1u)
        << title;
  EXPECT_TRUE(holds(html, "11,689,512"));
  EXPECT_TRUE(holds(html, "data:image/png;base64,iVBORw==\""));
  EXPECT_TRUE(holds(html, "alt=\"where the model looked\""));
  // Nothing is fetched: the only addresses are the name space of SVG and data.
  std::string rest = html;
  for (size_t at; (at = rest.find("http://www.w3.org/2000/svg")) != rest.npos;) rest.erase(at, 26);
  for (const char* outside : {"http:", "https:", "//cdn", "@import", "<link", "url("})
    EXPECT_FALSE(holds(rest, outside)) << outside;
}

TEST(Report, EveryTextIsEscaped) {
  const std::string html = render_report(full_report("<script>alert('x')</script>\"&\x1b"));
  EXPECT_EQ(count(html, "<script>"), 1u);
  EXPECT_FALSE(holds(html, "alert('x')"));
  EXPECT_GE(count(html, "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&quot;&amp;?"), 20u);
}

TEST(Report, EmptyPartsAreLeftOut) {
  RunReport r;
  r.title = "x";
  const std::string html = render_report(r);
  EXPECT_EQ(count(html, "<section>"), 0u);
  r.charts = {{"nothing", "", "", {}}, {"only NaN", "", "", {{"a", {1}, {NAN}}}}};
  EXPECT_EQ(count(render_report(r), "No values were recorded"), 2u);
}

TEST(Report, ManyClassesGiveTheWorstConfusions) {
  RunReport r;
  r.confusion.classes = 100;
  r.confusion.counts.assign(10000, 0);
  r.confusion.counts[7 * 100 + 9] = 5;
  const std::string html = render_report(r);
  EXPECT_TRUE(holds(html, "<td>7</td><td>9</td><td class=\"n\">5</td>"));
  EXPECT_FALSE(holds(html, "class=\"matrix"));
}

TEST(Report, LongCurvesAreThinnedAndKeepTheirExtremes) {
  Chart chart{"loss", "step", "", {{"a", {}, {}}}};
  for (int i = 0; i < 100000; ++i) {
    chart.series[0].xs.push_back(i);
    chart.series[0].ys.push_back(i == 54321 ? 9.5 : i == 77777 ? -3.25 : 1);
  }
  const std::string svg = line_chart(chart);
  EXPECT_LT(svg.size(), 30000u);
  EXPECT_TRUE(holds(svg, "9.5,"));
  EXPECT_TRUE(holds(svg, "-3.25,"));
}

TEST(Report, ChartsOfOddValues) {
  const double inf = std::numeric_limits<double>::infinity();
  for (const std::vector<double>& ys : {std::vector<double>{1, 1},
                                        {0, 0},
                                        {1e300, -1e300},
                                        {1e308, -1e308},
                                        {inf, 1},
                                        {5e-324, 0}}) {
    const std::string svg = line_chart({"t", "x", "y", {{"a", {0, 1}, ys}}});
    EXPECT_FALSE(holds(svg, "nan"));
    EXPECT_FALSE(holds(svg, "\"inf"));
    EXPECT_LT(svg.size(), 20000u);
  }
}

TEST(Report, Ticks) {
  EXPECT_EQ(nice_ticks(0, 10, 5), (std::vector<double>{0, 2, 4, 6, 8, 10}));
  EXPECT_EQ(nice_ticks(-0.06, 1.06, 5).size(), 6u);
  EXPECT_EQ(nice_ticks(3, 3, 5).size(), 1u);
}

TEST(Report, IsWritten) {
  const std::string path = (std::filesystem::temp_directory_path() / "nacre-report-test").string();
  write_report(path, full_report("a"));
  EXPECT_EQ(read_file(path, 1 << 20), render_report(full_report("a")));
  std::filesystem::remove(path);
}

TEST(Report, Base64OfTheRfc) {
  EXPECT_EQ(base64(""), "");
  EXPECT_EQ(base64("f"), "Zg==");
  EXPECT_EQ(base64("fo"), "Zm8=");
  EXPECT_EQ(base64("foobar"), "Zm9vYmFy");
  EXPECT_EQ(base64("\xff\xfe\xfd"), "//79");
}

TEST(Terminal, GreyPictures) {
  const std::vector<uint8_t> pixels{0, 255, 255, 0, 0, 0, 255, 255};  // 2 x 4
  EXPECT_EQ(draw_grey(pixels, 2, 4, 80, false), "==\n==\n");
  const std::string coloured = draw_grey(pixels, 2, 4, 80, true);
  EXPECT_EQ(count(coloured, "\u2580"), 4u);
  EXPECT_TRUE(coloured.starts_with("\x1b[38;2;0;0;0m\x1b[48;2;255;255;255m\u2580"));
  EXPECT_EQ(count(coloured, "\x1b[0m\n"), 2u);
  const std::vector<uint8_t> white(100 * 50, 255);
  EXPECT_EQ(draw_grey(white, 100, 50, 8, false), "@@@@@@@@\n@@@@@@@@\n");
  for (int w = 1; w < 9; ++w)
    for (int h = 1; h < 9; ++h)
      for (bool colour : {false, true})
        EXPECT_FALSE(draw_grey(std::vector<uint8_t>(w * h), w, h, 5, colour).empty());
  EXPECT_THROW(draw_grey(pixels, 3, 4, 80, false), Error);
  EXPECT_THROW(draw_grey({}, 0, 0, 80, false), Error);
}

TEST(Terminal, Tables) {
  TextTable table({"name", "count", "note"});
  table.add({"\u4e2d\u6587", "5", "a\x1b[31m"});
  table.add({"longer", "1,234", "two\nlines"});
  EXPECT_EQ(table.str(),
            "name    count  note\n"
            "------  -----  ---------\n"
            "\u4e2d\u6587        5  a?[31m\n"
            "longer  1,234  two lines\n");
}

TEST(Terminal, ProbabilityBars) {
  const std::vector<std::pair<std::string, double>> items{{"cat", 0.75}, {"dog", 0.25}, {"?", NAN}};
  EXPECT_EQ(probability_bars(std::span(items).first(2), 8, false),
            "cat  ######    75.0 %\ndog  ##        25.0 %\n");
  EXPECT_TRUE(holds(probability_bars(items, 8, true), "nan %"));
}

TEST(Terminal, NoColourIsRespected) {
  ::setenv("NO_COLOR", "1", 1);
  EXPECT_FALSE(terminal_has_colour(1));
  ::unsetenv("NO_COLOR");
}

}  // namespace
}  // namespace nacre
