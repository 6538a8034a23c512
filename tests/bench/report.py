"""How a figure is printed: beside its floor, as a ratio, with the aim it has."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """One measured figure. `better` is "high" or "low"; `aim` and `least` are in the unit of `value`."""

    name: str
    value: float
    unit: str
    aim: float | None = None
    least: float | None = None
    better: str = "high"
    detail: str = ""

    def verdict(self) -> str:
        def reached(mark: float) -> bool:
            return self.value >= mark if self.better == "high" else self.value <= mark

        if self.aim is not None and reached(self.aim):
            return "reaches its aim"
        if self.least is not None:
            return "reaches its bound" if reached(self.least) else "MISSES its bound"
        return "misses its aim" if self.aim is not None else ""

    def line(self) -> str:
        sign = "≥" if self.better == "high" else "≤"
        marks = [f"aim {sign} {self.aim:g}"] if self.aim is not None else []
        marks += [f"bound {sign} {self.least:g}"] if self.least is not None else []
        figure = f"{self.name:<46} {self.value:>10,.2f} {self.unit:<8}"
        return f"{figure} {', '.join(marks):<26} {self.verdict():<18} {self.detail}"
