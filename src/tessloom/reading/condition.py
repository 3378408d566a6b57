"""Conditions on a dataset's columns, as people write them: ``tess_mag < 10 and sector in (1, 2)``.

They are read as Python's grammar has them, and never run.
"""

from __future__ import annotations

import ast
import operator
from functools import reduce
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from tessloom.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_COMPARISONS: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.In: lambda value, choices: value.isin(list(choices)),
    ast.NotIn: lambda value, choices: ~value.isin(list(choices)),
    ast.Is: lambda value, _: value.is_null(),
    ast.IsNot: lambda value, _: value.is_valid(),
}


def parse_condition(text: str, columns: Mapping[str, pa.DataType]) -> pc.Expression:
    """Return a condition as Arrow has it.

    Parameters
    ----------
    text
        Comparisons of columns with numbers, texts and lists of them, joined by ``and``, ``or`` and
        ``not``; ``teff is None`` and ``teff is not None`` ask whether there is a value.
    columns
        Types of the columns that may be compared.

    Raises
    ------
    RequestError
        It is no condition, or has another name.
    """
    try:
        return _Condition(columns).of(ast.parse(text.strip(), mode="eval").body)
    except (SyntaxError, ValueError, TypeError) as error:
        if isinstance(error, RequestError):
            raise
        raise RequestError(
            f"{text!r} is no condition ({error}): write, for instance, 'tess_mag < 10 and teff > 0'"
        ) from None


class _Condition:
    def __init__(self, columns: Mapping[str, pa.DataType]) -> None:
        self._columns = columns

    def of(self, node: ast.expr) -> pc.Expression:
        """Return a node that is true or false."""
        match node:
            case ast.BoolOp(op=ast.And(), values=values):
                return reduce(operator.and_, [self.of(value) for value in values])
            case ast.BoolOp(op=ast.Or(), values=values):
                return reduce(operator.or_, [self.of(value) for value in values])
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return ~self.of(operand)
            case ast.Compare(left=left, ops=ops, comparators=right):
                values = [self._value(value) for value in (left, *right)]
                pairs = zip(ops, values, values[1:], strict=False)
                return reduce(operator.and_, [self._compared(*pair) for pair in pairs])
            case ast.Name(id=name) if pa.types.is_boolean(self._columns.get(name, pa.null())):
                return self._value(node)
        raise ValueError(f"{ast.unparse(node)} is neither true nor false")

    def _compared(self, comparison: ast.cmpop, left: Any, right: Any) -> pc.Expression:
        columns = [value for value in (left, right) if isinstance(value, pc.Expression)]
        if not columns:
            raise ValueError("it compares no column")
        if isinstance(comparison, ast.Is | ast.IsNot) and right is not None:
            raise ValueError("'is' is for None")
        if right is None and not isinstance(comparison, ast.Is | ast.IsNot):
            raise ValueError("None is asked for with 'is None'")
        return _COMPARISONS[type(comparison)](left, right)

    def _value(self, node: ast.expr) -> Any:
        if isinstance(node, ast.Name):
            if node.id not in self._columns:
                raise RequestError(f"there is no column {node.id!r} to choose by")
            return pc.field(node.id)
        return ast.literal_eval(node)
