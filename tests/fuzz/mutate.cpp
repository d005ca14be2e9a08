// SPDX-License-Identifier: Apache-2.0
// Runs a fuzz target without libFuzzer: each seed file, then ROUNDS mutations of them, the same ones each time.
//   mutate ROUNDS SEED...
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

using Lines = std::vector<std::string>;

Lines read_lines(const char* path) {
  std::ifstream file(path);
  Lines out;
  for (std::string line; std::getline(file, line);) {
    out.push_back(line);
  }
  return out;
}

void run(const Lines& lines) {
  std::string text;
  for (const auto& line : lines) {
    text += line + "\n";
  }
  LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(text.data()), text.size());
}

class Mutator {
 public:
  explicit Mutator(const std::vector<Lines>& seeds) : seeds_(seeds) {}

  Lines next() {
    Lines out = seeds_[below(seeds_.size())];
    for (std::size_t left = 1 + below(8); !out.empty() && left > 0; --left) {
      change(out);
    }
    return out;
  }

 private:
  std::size_t below(std::size_t limit) { return random_() % limit; }

  void change(Lines& lines) {
    const std::size_t at = below(lines.size());
    std::string& line = lines[at];
    const std::size_t position = below(line.size() + 1);
    switch (below(8)) {
      case 0:
        line.erase(position, below(20));
        break;
      case 1:
        line.resize(position);
        break;
      case 2:
        line.insert(position, 1, static_cast<char>(below(256)));
        break;
      case 3: {
        const Lines& other = seeds_[below(seeds_.size())];
        line.insert(position, other[below(other.size())]);
        break;
      }
      case 4:
        lines.erase(lines.begin() + static_cast<std::ptrdiff_t>(at));
        break;
      case 5:
        std::swap(line, lines[below(lines.size())]);
        break;
      case 6:
        line.insert(position, "99999999999999999999");
        break;
      case 7:
        lines.insert(lines.begin() + static_cast<std::ptrdiff_t>(at), 1 + below(20), std::string(line));
        break;
      default:
        break;
    }
  }

  const std::vector<Lines>& seeds_;
  std::mt19937 random_{1};  // NOLINT: the same mutations each time
};

}  // namespace

int main(int argc, char** argv) {
  std::vector<Lines> seeds;
  for (int i = 2; i < argc; ++i) {
    seeds.push_back(read_lines(argv[i]));
    if (seeds.back().empty()) {
      std::fprintf(stderr, "mutate: no seed in %s\n", argv[i]);
      return 2;
    }
    run(seeds.back());
  }
  if (seeds.empty()) {
    std::fputs("usage: mutate ROUNDS SEED...\n", stderr);
    return 2;
  }
  Mutator mutator(seeds);
  const long rounds = std::strtol(argv[1], nullptr, 10);
  for (long i = 0; i < rounds; ++i) {
    run(mutator.next());
  }
  std::printf("%zu seeds, %ld mutations\n", seeds.size(), rounds);
  return 0;
}
