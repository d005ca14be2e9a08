// SPDX-License-Identifier: Apache-2.0
#include "breakpoint/dump.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <array>
#include <utility>

#include "breakpoint/action_child.h"
#include "breakpoint/dump_python.h"
#include "identity/owned_file.h"
#include "util/process_start.h"

namespace memcrest {
namespace {

constexpr std::array kKinds = {DumpKind::kSmaps, DumpKind::kCore, DumpKind::kPython,
                               DumpKind::kJvm,   DumpKind::kNode, DumpKind::kGo};
constexpr std::size_t kMostOfOneFile = 64U << 20U;
constexpr const char* kCommands = "commands";
constexpr const char* kPythonScript = "gdb.py";  // by its name gdb knows the language

bool has_py_spy() { return is_in_path("py-spy"); }

std::string heap_name(std::uint32_t pid, std::uint64_t hit_ns) {
  return "memcrest-" + std::to_string(pid) + "-" + std::to_string(hit_ns) + ".hprof";
}

Result<void> write_new(const std::string& path, const std::string& text) {
  auto file = open_file(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
  if (!file) {
    return std::unexpected(file.error());
  }
  for (std::size_t done = 0; done < text.size();) {
    const ssize_t put = ::write(file->get(), text.data() + done, text.size() - done);
    if (put < 0 && errno != EINTR) {
      return fail_errno("write", path);
    }
    done += put > 0 ? static_cast<std::size_t>(put) : 0;
  }
  return {};
}

}  // namespace

const char* to_string(DumpKind kind) {
  switch (kind) {
    case DumpKind::kSmaps:
      return "smaps";
    case DumpKind::kCore:
      return "core";
    case DumpKind::kPython:
      return "python";
    case DumpKind::kJvm:
      return "jvm";
    case DumpKind::kNode:
      return "node";
    case DumpKind::kGo:
      return "go";
  }
  return "smaps";
}

std::optional<DumpKind> parse_dump_kind(std::string_view word) {
  const auto found = std::ranges::find_if(kKinds, [&](DumpKind one) { return to_string(one) == word; });
  return found == kKinds.end() ? std::nullopt : std::optional(*found);
}

std::string missing_tool(DumpKind kind) {
  const auto unless = [](const char* name) { return is_in_path(name) ? std::string() : name; };
  switch (kind) {
    case DumpKind::kCore:
      return unless("gcore");
    case DumpKind::kPython:
      return has_py_spy() || (is_in_path("gdb") && gdb_knows_python()) ? "" : "py-spy, or gdb with python3-dbg,";
    case DumpKind::kJvm:
      return unless("jcmd");
    case DumpKind::kSmaps:
    case DumpKind::kNode:
    case DumpKind::kGo:
      return {};
  }
  return {};
}

bool wants_it_running(DumpKind kind) { return kind == DumpKind::kJvm || signal_of(kind) != 0; }

int signal_of(DumpKind kind) { return kind == DumpKind::kNode ? SIGUSR2 : kind == DumpKind::kGo ? SIGQUIT : 0; }

std::vector<std::string> dump_command(DumpKind kind, std::uint32_t pid, const std::string& dir) {
  const std::string number = std::to_string(pid);
  switch (kind) {
    case DumpKind::kCore:
      return {"gcore", "-o", dir + "/core", number};
    case DumpKind::kPython:
      if (has_py_spy()) {
        return {"py-spy", "dump", "--pid", number};
      }
      // Nothing that lies in the container is run: its files are hostile.
      return {"gdb",
              "-batch",
              "-nx",
              "-iex",
              "set auto-load off",
              "-iex",
              "set debuginfod enabled off",
              "-p",
              number,
              "-x",
              dir + "/" + kPythonScript};
    case DumpKind::kJvm:
      return {"jcmd", number, "-f", dir + "/" + kCommands};
    case DumpKind::kSmaps:
    case DumpKind::kNode:
    case DumpKind::kGo:
      return {};
  }
  return {};
}

// The virtual machine writes the heap itself, in its own file system. What takes the memory is known even where that
// fails.
Result<void> prepare_dump(DumpKind kind, std::uint32_t pid, std::uint64_t hit_ns, const std::string& dir) {
  if (kind == DumpKind::kPython && !has_py_spy()) {
    return write_new(dir + "/" + kPythonScript, gdb_python_script());
  }
  return kind == DumpKind::kJvm ? write_new(dir + "/" + kCommands,
                                            "GC.class_histogram\nGC.heap_dump /tmp/" + heap_name(pid, hit_ns) + "\n")
                                : Result<void>();
}

Result<void> LeftFile::remove() const {
  return ::unlinkat(directory.get(), name.c_str(), 0) == 0 ? Result<void>() : fail_errno("remove", name);
}

Result<LeftFile> left_heap(const ProcessKey& process, std::uint64_t hit_ns, const SystemRoot& root) {
  const std::string folder = root.proc + "/" + std::to_string(process.tgid);
  struct stat info{};
  if (::stat(folder.c_str(), &info) != 0) {
    return fail_errno("look at", folder);
  }
  const auto top = open_directory(folder + "/root");
  if (!top) {
    return std::unexpected(top.error());
  }
  // Looked at afterwards: who has its number now had it when the root was opened.
  if (const auto start = process_start_ns(folder); !start || *start != to_tick(process.start_ns)) {
    return fail("look at", folder, ESRCH);
  }
  const std::string name = heap_name(process.tgid, hit_ns);
  auto directory = open_directory_below(*top, "tmp", Symlinks::kRefuse);
  if (!directory) {
    return std::unexpected(directory.error());
  }
  auto file = open_owned(*directory, name, info.st_uid);
  if (!file) {
    return std::unexpected(file.error());
  }
  return LeftFile{std::move(*directory), name, std::move(*file)};
}

Result<SmapsResult> write_smaps(std::span<const ContainerProcess> processes, const std::string& dir,
                                std::uint64_t most_bytes, const SystemRoot& root) {
  SmapsResult out;
  std::uint64_t left = most_bytes;
  for (const ContainerProcess& one : processes) {
    const std::string number = std::to_string(one.process.tgid);
    bool any = false;
    for (const char* name : {"status", "maps", "smaps"}) {
      const std::size_t room = static_cast<std::size_t>(std::min<std::uint64_t>(left, kMostOfOneFile));
      const auto text = read_start(root.proc + "/" + number + "/" + name, room);
      if (!text || room == 0) {
        out.cut = out.cut || room == 0;
        continue;
      }
      if (auto written = write_new(dir + "/" + number + "." + name, *text); !written) {
        return std::unexpected(written.error());
      }
      out.cut = out.cut || text->size() == room;
      left -= text->size();
      out.bytes += text->size();
      any = true;
    }
    out.processes += any ? 1 : 0;
  }
  return out;
}

std::uint64_t room_in(const std::string& path) {
  struct statvfs info{};
  return ::statvfs(path.c_str(), &info) == 0 ? std::uint64_t{info.f_bavail} * info.f_frsize : 0;
}

Result<std::string> make_output_dir(const std::string& parent, const std::string& name) {
  if (::mkdir(parent.c_str(), 0700) != 0 && errno != EEXIST) {
    return fail_errno("make directory", parent);
  }
  // Of another user it could be a link to anywhere, or be read by him.
  struct stat info{};
  if (::lstat(parent.c_str(), &info) != 0 || !S_ISDIR(info.st_mode) || info.st_uid != ::geteuid() ||
      (info.st_mode & S_IWOTH) != 0) {
    return fail("write to", parent, 0, "it must be a directory of our own that nobody else may write to");
  }
  std::string out = parent + "/" + name;
  if (::mkdir(out.c_str(), 0700) != 0) {
    return fail_errno("make directory", out);
  }
  return out;
}

}  // namespace memcrest
