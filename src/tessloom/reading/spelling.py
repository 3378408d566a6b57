"""Conditions as SQL spells them, spelled as Python does."""

from __future__ import annotations

import io
import tokenize

_WORDS = {word: word for word in ("and", "or", "not", "in", "is")}
_WORDS |= {"null": "None", "none": "None", "true": "True", "false": "False"}
_SIGNS = {"=": "==", "<>": "!="}
_LEFT_OUT = (tokenize.NL, tokenize.NEWLINE, tokenize.COMMENT, tokenize.ENDMARKER)


def as_python(text: str) -> str:
    """Return a condition in Python's spelling, on one line.

    ``AND``, ``Not``, ``IS NULL`` may be written in any case, ``=`` and ``<>`` for ``==`` and
    ``!=``.

    Raises
    ------
    SyntaxError
        A text or a bracket does not end.
    """
    words: list[str] = []
    try:
        # In brackets the ends of lines mean nothing.
        for token in tokenize.generate_tokens(io.StringIO(f"({text}\n)").readline):
            word = token.string
            if token.type in _LEFT_OUT:
                continue
            if token.type == tokenize.NAME:
                word = _WORDS.get(word.lower(), word)
            if word == ">" and words[-1] == "<":  # before Python 3.12 they are two signs
                words.pop()
                word = "<>"
            words.append(_SIGNS.get(word, word))
    except tokenize.TokenError as error:
        raise SyntaxError(error.args[0]) from None
    return " ".join(words)
