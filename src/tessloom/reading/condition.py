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

from tessloom.dataset.schema import LIGHT_CURVE
from tessloom.errors import RequestError
from tessloom.reading.literals import literal_for, literals_for
from tessloom.reading.scanning import projected
from tessloom.reading.spelling import as_python

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_COMPARISONS: dict[type[ast.cmpop], Callable[[Any, Any], pc.Expression]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
_EQUALITIES = (ast.Eq, ast.NotEq)
# Arrow takes a few levels of its stack for each, and time that grows with the square.
_MOST_COMPARISONS = 1000
_HOW = (
    "where takes comparisons of columns with numbers and texts (=, !=, <, <=, >, >=, in (1, 2), "
    "is null), joined by and, or, not. For arithmetic, functions and patterns give a pyarrow "
    "expression: where=pc.abs(pc.field('dec')) < 5, with pyarrow.compute as pc"
)


def condition_of(where: object, schema: pa.Schema) -> pc.Expression:
    """Return what `Catalogue.select` takes for a condition as an Arrow expression.

    Parameters
    ----------
    schema
        Of the files.

    Raises
    ------
    RequestError
        It is no condition on these columns.
    """
    if isinstance(where, pc.Expression):
        found = where
    elif isinstance(where, str):
        types = {field.name: field.type for field in schema if field.name != LIGHT_CURVE}
        found = parse_condition(where, types)
    else:
        raise RequestError(f"where is {where!r}, which is no condition: {_HOW}")
    try:
        kind = projected(schema, {"chosen": found}).field("chosen").type
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise RequestError(f"{_shown(where)} does not fit the columns: {_said(error)}") from error
    if not pa.types.is_boolean(kind):
        raise RequestError(f"{_shown(where)} is {kind}, not true or false: {_HOW}")
    return found


def parse_condition(text: str, columns: Mapping[str, pa.DataType]) -> pc.Expression:
    """Return a condition as Arrow has it.

    Parameters
    ----------
    text
        As `Catalogue.select` describes it.
    columns
        Types of the columns that may be compared.

    Raises
    ------
    RequestError
        It is no condition, or has another name.
    """
    try:
        python = as_python(text)
        return _Condition(python, columns).of(ast.parse(python, mode="eval").body)
    except RequestError:
        raise
    except (RecursionError, MemoryError):
        raise RequestError(f"{_shown(text)} is nested too deeply: {_HOW}") from None
    except SyntaxError as error:
        raise RequestError(f"{_shown(text)} is no condition ({error.msg}): {_HOW}") from None
    except ValueError as error:
        raise RequestError(f"{_shown(text)} is no condition: {error}. {_HOW}") from None


class _Condition:
    def __init__(self, text: str, columns: Mapping[str, pa.DataType]) -> None:
        self._text = text.encode()
        self._columns = columns
        self._comparisons = 0

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
                triples = zip((left, *right), ops, right, strict=False)
                return reduce(operator.and_, [self._compared(*triple) for triple in triples])
            case ast.Name() if pa.types.is_boolean(self._columns[self._name(node)]):
                return pc.field(self._name(node))
        raise ValueError(f"{_words(node)} is neither true nor false")

    def _compared(self, left: ast.expr, comparison: ast.cmpop, right: ast.expr) -> pc.Expression:
        self._comparisons += 1
        if self._comparisons > _MOST_COMPARISONS:
            raise ValueError(f"it has more than {_MOST_COMPARISONS} comparisons: take 'in' a list")
        if isinstance(comparison, ast.Is | ast.IsNot):
            return self._null(left, comparison, right)
        if isinstance(comparison, ast.In | ast.NotIn):
            return self._among(left, comparison, right)
        compare = _COMPARISONS[type(comparison)]
        match left, right:
            case ast.Name(), ast.Name():
                return compare(pc.field(self._name(left)), pc.field(self._name(right)))
            case ast.Name(), _:
                name, literal = self._name(left), _literal(right)
                return compare(pc.field(name), self._fitting(name, literal, comparison))
            case _, ast.Name():
                name, literal = self._name(right), _literal(left)
                return compare(self._fitting(name, literal, comparison), pc.field(name))
        _literal(left), _literal(right)
        raise ValueError(f"{_words(left)} and {_words(right)} are no columns")

    def _null(self, left: ast.expr, comparison: ast.cmpop, right: ast.expr) -> pc.Expression:
        match left, right:
            case ast.Name(), ast.Constant(value=None):
                column = pc.field(self._name(left))
                return column.is_null() if isinstance(comparison, ast.Is) else column.is_valid()
        raise ValueError("'is' asks of a column for null alone")

    def _among(self, left: ast.expr, comparison: ast.cmpop, right: ast.expr) -> pc.Expression:
        match left, right:
            case ast.Name(), ast.Tuple(elts=items) | ast.List(elts=items) | ast.Set(elts=items):
                name = self._name(left)
            # To Python, brackets around one value mean nothing.
            case ast.Name(), _ if self._text[: right.col_offset].rstrip().endswith(b"("):
                name, items = self._name(left), [right]
            case _:
                raise ValueError(
                    f"before 'in' stands a column, after it a list: not {_words(left)} and "
                    f"{_words(right)}"
                )
        values = literals_for(name, self._columns[name], map(_literal, items))
        column = pc.field(name)
        # Arrow says false of null; to SQL, as to all comparisons here, it is neither.
        among = column.isin(values) | (column.is_null() & pc.scalar(pa.scalar(None, pa.bool_())))
        return among if isinstance(comparison, ast.In) else ~among

    def _fitting(self, name: str, literal: Any, comparison: ast.cmpop) -> pa.Scalar:
        of = self._columns[name]
        is_text = pa.types.is_string(of) and not isinstance(literal, str)
        if is_text and not isinstance(comparison, _EQUALITIES):
            raise RequestError(f"{name} is text, which is neither less nor more than {literal}")
        return literal_for(name, of, literal)

    def _name(self, node: ast.Name) -> str:
        name = node.id if node.id in self._columns else node.id.lower()
        if name not in self._columns:
            raise RequestError(
                f"there is no column {node.id!r} to choose by: there are {', '.join(self._columns)}"
            )
        return name


def _literal(node: ast.expr) -> Any:
    match node:
        case ast.Constant(value=bool() | int() | float() | str() as value):
            return value
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as value)):
            return -value
        case ast.UnaryOp(op=ast.UAdd(), operand=ast.Constant(value=int() | float() as value)):
            return value
        case ast.Constant(value=None):
            raise ValueError("null is asked for with 'is null'")
    raise ValueError(f"{_words(node)} is no column, number or text")


def _words(node: ast.expr) -> str:
    return _shown(ast.unparse(node))


def _shown(where: object) -> str:
    text = repr(where) if isinstance(where, str) else str(where)
    return text if len(text) <= 200 else f"{text[:200]}..."


def _said(error: Exception) -> str:
    return str(error).partition("\n")[0]
