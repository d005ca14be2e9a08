// SPDX-License-Identifier: Apache-2.0
#include "breakpoint/dump_python.h"

#include <dirent.h>

#include <string_view>

#include "util/fd.h"

namespace memcrest {
namespace {

constexpr const char* kHelpers = "/usr/share/gdb/auto-load/usr/bin";

// CPython's own helper defines Frame and the classes of values. Names come from the process: they are escaped.
constexpr const char* kScript = R"(
import os, re, gdb

def load_helper():
    for one in gdb.objfiles():
        match = re.match(r'(?:lib)?(python3\.\d+)', os.path.basename(one.filename or ''))
        path = match and os.path.join(HELPERS, match[1] + '-gdb.py')
        if path and os.path.exists(path):
            gdb.execute('source ' + path)
            return

def plain(text):
    return ascii(str(text))[1:-1][:80]

def count_of(value):
    for kind, field in ((PyListObjectPtr, 'ob_size'), (PyTupleObjectPtr, 'ob_size'), (PyDictObjectPtr, 'ma_used'),
                        (PySetObjectPtr, 'used')):
        if isinstance(value, kind):
            return int(value.field(field))
    return None

def look(found):
    frames = 0
    frame = Frame(gdb.newest_frame())
    while frame:
        code = frame.get_pyop() if frame.is_evalframe() else None
        while code and not code.is_optimized_out():
            frames += 1
            for names in (code.iter_locals(), code.iter_globals()):
                for name, value in names:
                    try:
                        count, word = count_of(value), plain(name.proxyval(set()))
                        if count is not None and not word.startswith('__'):
                            found.setdefault(value.as_address(), (count, plain(value.safe_tp_name()), word))
                    except (gdb.error, RuntimeError, AttributeError, ValueError):
                        pass
            # Since 3.11 one frame of C runs several of Python.
            is_last = getattr(code, 'is_entry', getattr(code, 'is_shim', None))
            code = code.previous() if is_last and not is_last() else None
        frame = frame.older()
    return frames

if 'Frame' not in globals():
    load_helper()
if 'Frame' not in globals():
    print('gdb does not know the Python that this process runs, if it runs one')
    gdb.execute('quit 3')
gdb.execute('thread apply all -q -s py-bt')
found, frames = {}, 0
for thread in gdb.selected_inferior().threads():
    thread.switch()
    try:
        frames += look(found)
    except (gdb.error, RuntimeError) as error:
        print('a thread could not be read:', plain(error))
if not frames:
    print('no frame of Python could be read: python3-dbg is not that of the Python that this process runs')
    gdb.execute('quit 3')
print('\nThe largest of what these frames see, by their elements:')
for count, kind, name in sorted(found.values(), reverse=True)[:20]:
    print(f'{count:>12}  {kind:<10}  {name}')
)";

}  // namespace

bool gdb_knows_python() {
  const Directory helpers(::opendir(kHelpers));
  while (const dirent* entry = helpers ? ::readdir(helpers.get()) : nullptr) {
    const std::string_view name = entry->d_name;
    if (name.starts_with("python3.") && name.ends_with("-gdb.py")) {
      return true;
    }
  }
  return false;
}

std::string gdb_python_script() { return std::string("HELPERS = '") + kHelpers + "'" + kScript; }

}  // namespace memcrest
