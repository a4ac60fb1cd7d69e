"""Values of numpy, pandas, pydantic and attrs in a config."""

from attacks.case import Group

GROUP = Group("package types")


def numpy(name: str, verdict: str, one: str, other: str) -> None:
    """A case with numpy values."""
    GROUP.values(name, verdict, one, other, "import numpy as np", "numpy")


numpy("numpy_integer_or_integer", "miss", "np.int64(1)", "1")
numpy("numpy_integer_again", "hit", "np.int64(1)", "np.int64(1)")
numpy("numpy_integers_of_two_widths", "miss", "np.int32(1)", "np.int64(1)")
numpy("numpy_float_of_less_precision", "miss", "np.float32(0.1)", "np.float64(0.1)")
numpy("numpy_true_or_true", "miss", "np.True_", "True")
numpy("numpy_time_in_two_units", "miss", "np.datetime64('2026-01-01', 'D')", "np.datetime64('2026-01-01', 's')")
numpy("array_again", "hit", "np.arange(6.0)", "np.arange(6.0)")
numpy("array_with_nan_again", "hit", "np.array([1, np.nan])", "np.array([1, np.nan])")
numpy("array_or_list", "miss", "np.array([1, 2])", "[1, 2]")
numpy("array_of_other_type", "miss", "np.array([1, 2], 'i4')", "np.array([1, 2], 'i8')")
numpy("array_of_other_shape", "miss", "np.zeros((2, 3))", "np.zeros((3, 2))")
numpy("array_transposed", "miss", "np.arange(4).reshape(2, 2)", "np.arange(4).reshape(2, 2).T")
numpy("array_in_other_memory_order", "hit", "np.array([1, 2, 3])", "np.array([1, 0, 2, 0, 3])[::2]")
numpy("one_element_of_a_large_array", "miss", "np.zeros(100_000)", "np.eye(1, 100_000, 50_000)[0]")
numpy("minus_zero_in_an_array", "miss", "np.array([0.0])", "np.array([-0.0])")
numpy("array_of_objects", "miss", "np.array([1, None], object)", "np.array([1.0, None], object)")


def pandas(name: str, verdict: str, one: str, other: str) -> None:
    """A case with pandas values."""
    GROUP.values(name, verdict, one, other, "import pandas as pd", "pandas")


FRAME = "pd.DataFrame({'a': [1, 2], 'b': ['x', 'y']})"
pandas("frame_again", "hit", FRAME, FRAME)
pandas("frame_with_another_cell", "miss", FRAME, "pd.DataFrame({'a': [1, 3], 'b': ['x', 'y']})")
pandas("frame_with_columns_in_another_order", "miss", FRAME, FRAME + "[['b', 'a']]")
pandas("frame_with_another_column_name", "miss", FRAME, FRAME + ".rename(columns={'a': 'c'})")
pandas("frame_with_another_index", "miss", FRAME, FRAME + ".set_index(pd.Index([5, 6]))")
pandas("frame_with_another_type_of_column", "miss", FRAME, FRAME + ".astype({'a': 'float64'})")
pandas(
    "large_frame_with_another_cell_in_its_middle",
    "miss",
    "pd.DataFrame({'a': range(10_000)})",
    "pd.DataFrame({'a': [-1 if i == 5_000 else i for i in range(10_000)]})",
)
pandas("frame_or_dict", "miss", "pd.DataFrame({'a': [1]})", "{'a': [1]}")
pandas("missing_value_or_nan", "miss", "pd.Series([1.0, None], dtype='Float64')", "pd.Series([1.0, float('nan')])")
pandas("series_name", "miss", "pd.Series([1], name='a')", "pd.Series([1], name='b')")
pandas("timestamp_in_two_zones", "miss", "pd.Timestamp('2026-01-01 12:00', tz='UTC')",
       "pd.Timestamp('2026-01-01 13:00', tz='Europe/Berlin')")  # fmt: skip
pandas("timestamp_or_datetime", "miss", "pd.Timestamp('2026-01-01')", "pd.Timestamp('2026-01-01').to_pydatetime()")
pandas("category_order", "miss", "pd.Series(pd.Categorical(['a'], ['a', 'b']))",
       "pd.Series(pd.Categorical(['a'], ['b', 'a']))")  # fmt: skip

MODELS = """
import pydantic
class A(pydantic.BaseModel):
    x: float | int | str = 1
class B(pydantic.BaseModel):
    x: float | int | str = 1
class Inner(pydantic.BaseModel):
    a: A = A()
class Private(pydantic.BaseModel):
    _seed: int = pydantic.PrivateAttr(0)
    @classmethod
    def of(cls, seed):
        made = cls()
        made._seed = seed
        return made
class Secret(pydantic.BaseModel):
    key: pydantic.SecretStr
"""
for name, verdict, one, other in (
    ("model_again", "hit", "A(x=1)", "A(x=1)"),
    ("model_field", "miss", "A(x=1)", "A(x=2)"),
    ("model_field_of_other_type", "miss", "A(x=1)", "A(x=1.0)"),
    ("model_nested_field", "miss", "Inner(a=A(x=1))", "Inner(a=A(x=2))"),
    ("models_alike", "miss", "A(x=1)", "B(x=1)"),
    ("model_or_dict", "miss", "A(x=1)", "{'x': 1}"),
    ("model_private_attribute", "miss", "Private.of(1)", "Private.of(2)"),
    ("model_with_another_secret", "miss", "Secret(key='a')", "Secret(key='b')"),
):
    GROUP.values(name, verdict, one, other, MODELS, "pydantic")

ATTRS = """
import attrs
@attrs.define
class A:
    x: object = 1
@attrs.define
class B:
    x: object = 1
@attrs.define
class Quiet:
    x: object = attrs.field(eq=False, repr=False)
"""
for name, verdict, one, other in (
    ("attrs_again", "hit", "A(1)", "A(1)"),
    ("attrs_field", "miss", "A(1)", "A(2)"),
    ("attrs_classes_alike", "miss", "A(1)", "B(1)"),
    ("attrs_field_left_out_of_comparison", "miss", "Quiet(1)", "Quiet(2)"),
):
    GROUP.values(name, verdict, one, other, ATTRS, "attrs")
