// SPDX-License-Identifier: Apache-2.0
#include "top/top_screen.h"

#include <curses.h>
#include <unistd.h>

#include <cerrno>
#include <clocale>
#include <cstdio>

namespace memcrest {
namespace {

// Blue and yellow differ for everyone; red only repeats what bold and the mark in front say.
enum Pair : short { kAlarmPair = 1, kNoticePair = 2 };

attr_t attributes_of(Tone tone) {
  switch (tone) {
    case Tone::kPlain:
      return A_NORMAL;
    case Tone::kDim:
      return A_DIM;
    case Tone::kBold:
      return A_BOLD;
    case Tone::kAlarm:
      return A_BOLD | A_UNDERLINE;
    case Tone::kNotice:
      return A_BOLD;
  }
  return A_NORMAL;
}

short pair_of(Tone tone) { return tone == Tone::kAlarm ? kAlarmPair : tone == Tone::kNotice ? kNoticePair : 0; }

}  // namespace

Result<std::unique_ptr<TopScreen>> TopScreen::open(bool color) {
  if (isatty(STDOUT_FILENO) != 1 || isatty(STDIN_FILENO) != 1) {
    return fail("open", "the terminal", ENOTTY, "top draws on one; --once and --json need none");
  }
  // Names are UTF-8; a locale that says nothing of it must not garble them.
  if (std::setlocale(LC_CTYPE, "") == nullptr || MB_CUR_MAX < 2) {
    if (std::setlocale(LC_CTYPE, "C.UTF-8") == nullptr) {
      std::setlocale(LC_CTYPE, "");
    }
  }
  SCREEN* screen = newterm(nullptr, stdout, stdin);
  if (screen == nullptr) {
    return fail("open", "the terminal", ENOTSUP, "TERM names none that is known here");
  }
  set_term(screen);
  std::unique_ptr<TopScreen> out(new TopScreen());
  set_escdelay(25);
  cbreak();
  noecho();
  nonl();
  keypad(stdscr, TRUE);
  curs_set(0);
  mousemask(BUTTON1_PRESSED | BUTTON1_CLICKED | BUTTON4_PRESSED | BUTTON5_PRESSED, nullptr);
  mouseinterval(0);
  if (color && has_colors()) {
    start_color();
    use_default_colors();
    init_pair(kAlarmPair, COLOR_RED, -1);
    init_pair(kNoticePair, COLOR_YELLOW, -1);
    out->color_ = true;
  }
  return out;
}

TopScreen::~TopScreen() { endwin(); }

std::size_t TopScreen::columns() const { return static_cast<std::size_t>(std::max(1, COLS)); }
std::size_t TopScreen::rows() const { return static_cast<std::size_t>(std::max(1, LINES)); }

void TopScreen::draw(const std::vector<TopLine>& lines) {
  erase();
  int row = 0;
  for (const TopLine& line : lines) {
    if (row >= LINES) {
      break;
    }
    ::move(row, 0);
    const attr_t whole = line.bar || line.selected ? A_REVERSE : A_NORMAL;
    for (const TopPiece& piece : line.pieces) {
      attr_set(attributes_of(piece.tone) | whole, color_ ? pair_of(piece.tone) : static_cast<short>(0), nullptr);
      addstr(piece.text.c_str());
    }
    if (whole != A_NORMAL) {
      attr_set(whole, 0, nullptr);
      for (int column = getcurx(stdscr); column < COLS && getcury(stdscr) == row; ++column) {
        addch(' ');
      }
    }
    ++row;
  }
  attr_set(A_NORMAL, 0, nullptr);
  refresh();
}

namespace {

std::optional<TopInput> mouse_input() {
  MEVENT event{};
  if (getmouse(&event) != OK) {
    return std::nullopt;
  }
  TopInput out;
  out.row = static_cast<std::size_t>(std::max(0, event.y));
  out.column = static_cast<std::size_t>(std::max(0, event.x));
  if ((event.bstate & BUTTON4_PRESSED) != 0) {
    out.key = TopKey::kWheelUp;
  } else if ((event.bstate & BUTTON5_PRESSED) != 0) {
    out.key = TopKey::kWheelDown;
  } else {
    out.key = TopKey::kClick;
  }
  return out;
}

std::optional<TopKey> key_of(wint_t code) {
  switch (code) {
    case KEY_UP:
      return TopKey::kUp;
    case KEY_DOWN:
      return TopKey::kDown;
    case KEY_LEFT:
      return TopKey::kLeft;
    case KEY_RIGHT:
      return TopKey::kRight;
    case KEY_PPAGE:
      return TopKey::kPageUp;
    case KEY_NPAGE:
      return TopKey::kPageDown;
    case KEY_HOME:
      return TopKey::kHome;
    case KEY_END:
      return TopKey::kEnd;
    case KEY_ENTER:
      return TopKey::kEnter;
    case KEY_BACKSPACE:
      return TopKey::kBackspace;
    case KEY_RESIZE:
      return TopKey::kResize;
    default:
      return std::nullopt;
  }
}

}  // namespace

std::optional<TopInput> TopScreen::read(std::chrono::milliseconds longest) {
  timeout(static_cast<int>(longest.count()));
  wint_t code = 0;
  const int kind = get_wch(&code);
  if (kind == ERR) {
    return std::nullopt;
  }
  if (kind == KEY_CODE_YES) {
    if (code == KEY_MOUSE) {
      return mouse_input();
    }
    const auto key = key_of(code);
    return key ? std::optional(TopInput{.key = *key}) : std::nullopt;
  }
  switch (code) {
    case L'\r':
    case L'\n':
      return TopInput{.key = TopKey::kEnter};
    case 27:
      return TopInput{.key = TopKey::kEscape};
    case 8:
    case 127:
      return TopInput{.key = TopKey::kBackspace};
    case L'\t':
      return TopInput{.key = TopKey::kTab};
    case 12:  // Ctrl-L
      clearok(stdscr, TRUE);
      return TopInput{.key = TopKey::kResize};
    default:
      return TopInput{.key = TopKey::kChar, .character = static_cast<char32_t>(code)};
  }
}

}  // namespace memcrest
