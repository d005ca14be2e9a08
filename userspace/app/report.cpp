// SPDX-License-Identifier: Apache-2.0
// `memcrest report`: what a recording has to tell, as text, JSON, Markdown or one HTML page.
#include "report/report.h"

#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <iostream>

#include "app/exit_codes.h"
#include "app/terminal.h"
#include "app/verbs.h"
#include "report/report_html.h"
#include "report/report_json.h"
#include "report/report_markdown.h"
#include "report/report_text.h"
#include "util/fd.h"
#include "util/text.h"

namespace memcrest {
namespace {

int failed(const Error& error) {
  spdlog::error("{}", escape_terminal(error.message()));
  return kExitFailure;
}

std::string rendered(const Report& report, const ReportOptions& options) {
  switch (options.format) {
    case ReportFormat::kText: {
      TextStyle style;
      if (options.output.empty()) {
        const Terminal terminal = terminal_of_stdout();
        style.color = terminal.color;
        style.columns = terminal.columns.value_or(style.columns);
      }
      return to_text(report, style);
    }
    case ReportFormat::kJson:
      return to_json(report) + "\n";
    case ReportFormat::kMarkdown:
      return to_markdown(report);
    case ReportFormat::kHtml:
      return to_html(report);
  }
  return {};
}

bool same_file(const std::string& a, const std::string& b) {
  struct stat one{};
  struct stat other{};
  return ::stat(a.c_str(), &one) == 0 && ::stat(b.c_str(), &other) == 0 && one.st_dev == other.st_dev &&
         one.st_ino == other.st_ino;
}

bool is_regular_or_new(const std::string& path) {
  struct stat status{};
  return ::stat(path.c_str(), &status) != 0 || S_ISREG(status.st_mode);
}

Result<void> write_all(int fd, const std::string& path, const std::string& text) {
  for (std::size_t done = 0; done < text.size();) {
    const ssize_t put = ::write(fd, text.data() + done, text.size() - done);
    if (put < 0 && errno != EINTR) {
      return fail_errno("write", path);
    }
    done += put < 0 ? 0 : static_cast<std::size_t>(put);
  }
  return {};
}

// A file is there whole or as it was before; a pipe or a device is written as it is.
Result<void> write_output(const std::string& path, const std::string& text) {
  if (!is_regular_or_new(path)) {
    const auto file = open_file(path, O_WRONLY);
    return file ? write_all(file->get(), path, text) : std::unexpected(file.error());
  }
  std::string name = path + ".XXXXXX";
  const Fd file(::mkostemp(name.data(), O_CLOEXEC));
  if (!file) {
    return fail_errno("create", path);
  }
  const mode_t mask = ::umask(0);
  ::umask(mask);
  auto written = write_all(file.get(), path, text);
  if (written && (::fchmod(file.get(), 0666 & ~mask) != 0 || ::rename(name.c_str(), path.c_str()) != 0)) {
    written = fail_errno("write", path);
  }
  if (!written) {
    ::unlink(name.c_str());
  }
  return written;
}

}  // namespace

int report(const ReportOptions& options) {
  if (!options.output.empty() && same_file(options.output, options.request.path)) {
    spdlog::error("--output names the recording itself");
    return kExitUsage;
  }
  const auto report = read_report(options.request);
  if (!report) {
    return failed(report.error());
  }
  const std::string text = rendered(*report, options);
  if (options.output.empty()) {
    std::cout << text << std::flush;
    if (!std::cout) {
      spdlog::error("standard output could not be written");
      return kExitOutput;
    }
  } else if (auto written = write_output(options.output, text); !written) {
    spdlog::error("{}", escape_terminal(written.error().message()));
    return kExitOutput;
  }
  for (const std::string& gap : report->recording.gaps) {
    spdlog::warn("{}", escape_terminal(gap));
  }
  return kExitOk;
}

}  // namespace memcrest
