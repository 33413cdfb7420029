"""Text that streams into a terminal, broken between words: a word that reaches the edge goes on in the next line."""

from __future__ import annotations

from prompt_toolkit.utils import get_cwidth

_WIDE = 2  # cells of a character of a script that is broken anywhere


class WordWrap:
    """Where the cursor of a terminal of so many columns is, and the word before it."""

    def __init__(self, columns: int) -> None:
        self._columns = columns
        self._column = 0
        self._word, self._cells = "", 0  # what was written of the word that may still grow, and its width

    def take(self, text: str) -> str:
        """What to write for the next piece of text. It holds no control characters but line breaks and tabs."""
        return "".join(self._take(character) for character in text)

    def _take(self, character: str) -> str:
        if character == "\n":
            self._column = 0
            return self._end_word(character)
        if character == "\t":
            self._column = min(self._columns, self._column // 8 * 8 + 8)
            return self._end_word(character)
        cells = get_cwidth(character)
        if character == " " and self._column + cells >= self._columns:
            self._column = 0
            return self._end_word("\n")
        written = character
        if self._column + cells >= self._columns:
            written = self._move_word() + character
        self._column += cells
        if character == " " or cells == _WIDE:
            return self._end_word(written)
        self._word += character
        self._cells += cells
        return written

    def _move_word(self) -> str:
        """Take the word off this line and begin the next with it; one as long as the line stays to the terminal."""
        if self._cells + 1 >= self._columns:
            self._column = self._column if self._column < self._columns else 0
            return ""
        back = f"\x1b[{self._cells}D\x1b[K" if self._cells else ""
        self._column = self._cells
        return f"{back}\n{self._word}"

    def _end_word(self, written: str) -> str:
        self._word, self._cells = "", 0
        return written
