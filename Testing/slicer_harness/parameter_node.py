"""`slicer.parameterNodeWrapper`: typed access to a real vtkMRMLScriptedModuleNode, and its binding to widgets.

After Base/Python/slicer/parameterNodeWrapper (wrapper.py, serializers.py, validators.py, guiConnectors.py), for the
types and widgets that a module of this kind uses; another type or widget raises, as one the original does not know.
Values are stored as there, so that a scene is readable both ways: numbers and paths as `str(value)`, booleans as
"True" or "False", an Enum by name, a node as a node reference beside an empty parameter of the same name.
"""

from __future__ import annotations

import enum
import pathlib
import typing
import weakref
from collections.abc import Callable
from typing import Annotated, Any

import slicer
import vtk

from .pythonqt import Wrapped

PROPERTY = "SlicerParameterName"


class Validator:
    """What a value must fulfil; `validate` raises if it does not."""

    def validate(self, value: Any) -> None:
        raise NotImplementedError


class NotNone(Validator):
    def validate(self, value: Any) -> None:
        if value is None:
            raise ValueError("Value must not be None")


class IsInstance(Validator):
    def __init__(self, classtype: Any) -> None:
        self.classtype = classtype

    def validate(self, value: Any) -> None:
        if value is not None and not isinstance(value, self.classtype):
            raise TypeError(f"Value must be of type {self.classtype}, is {type(value)}: {value!r}")


class WithinRange(Validator):
    def __init__(self, minimum: float, maximum: float) -> None:
        self.minimum, self.maximum = minimum, maximum

    def validate(self, value: Any) -> None:
        if not self.minimum <= value <= self.maximum:
            raise ValueError(f"Value must be within range [{self.minimum}, {self.maximum}], is {value}")


class Minimum(Validator):
    def __init__(self, minimum: float) -> None:
        self.minimum = minimum

    def validate(self, value: Any) -> None:
        if value < self.minimum:
            raise ValueError(f"Value must be at least {self.minimum}, is {value}")


class Maximum(Validator):
    def __init__(self, maximum: float) -> None:
        self.maximum = maximum

    def validate(self, value: Any) -> None:
        if value > self.maximum:
            raise ValueError(f"Value must be at most {self.maximum}, is {value}")


class Choice(Validator):
    def __init__(self, choices: Any) -> None:
        self.choices = choices

    def validate(self, value: Any) -> None:
        if value not in self.choices:
            raise ValueError(f"Value is {value}, but must be one of {self.choices}")


class Exclude(Validator):
    def __init__(self, excludedValues: Any) -> None:
        self.excludedValues = excludedValues

    def validate(self, value: Any) -> None:
        if value in self.excludedValues:
            raise ValueError(f"Value is {value}, which is one of the excluded {self.excludedValues}")


class Default:
    """The value of a parameter that is not in the node yet."""

    def __init__(self, value: Any = None, *, generator: Callable[[], Any] | None = None) -> None:
        self._value, self._generator = value, generator

    @property
    def value(self) -> Any:
        return self._generator() if self._generator else self._value


class Decimals:
    def __init__(self, value: int) -> None:
        self.value = value


class SingleStep:
    def __init__(self, value: float) -> None:
        self.value = value


class _Parameter:
    """One parameter of one type in one node."""

    def __init__(self, name: str, annotated: Any, default: Any) -> None:
        self.name, self.annotated = name, annotated
        self.kind = typing.get_args(annotated)[0] if typing.get_origin(annotated) is Annotated else annotated
        self.extras = list(annotated.__metadata__) if typing.get_origin(annotated) is Annotated else []
        self.validators = [v for v in self.extras if isinstance(v, Validator)]
        self._default = default if default is not None else self._own_default()
        if self.is_node:
            self.validators.insert(0, IsInstance(self.kind))
        elif self.kind in (int, float, str, bool) or self._is(pathlib.PurePath) or self._is(enum.Enum):
            allowed = (int, float) if self.kind is float else self.kind
            self.validators[:0] = [NotNone(), IsInstance(allowed)]
        else:
            raise TypeError(f"Unable to create serializer for {annotated} member {name}: not a type the harness knows")

    def _is(self, base: type) -> bool:
        return isinstance(self.kind, type) and issubclass(self.kind, base)

    @property
    def is_node(self) -> bool:
        return self._is(slicer.vtkMRMLNode)

    def _own_default(self) -> Default:
        given = [extra for extra in self.extras if isinstance(extra, Default)]
        if given:
            return given[0]
        if self._is(slicer.vtkMRMLNode):
            return Default(None)
        return Default(next(iter(self.kind)) if self._is(enum.Enum) else self.kind())

    def default(self) -> Any:
        return self._default.value

    def write(self, node: Any, value: Any) -> None:
        for validator in self.validators:
            validator.validate(value)
        if self.is_node:
            node.SetParameter(self.name, "")
            node.SetNodeReferenceID(self.name, value.GetID() if value is not None else None)
        elif self._is(enum.Enum):
            node.SetParameter(self.name, value.name)
        else:
            node.SetParameter(self.name, str(value))

    def read(self, node: Any) -> Any:
        if not node.HasParameter(self.name):
            self.write(node, self.default())
        if self.is_node:
            return node.GetNodeReference(self.name)
        text = node.GetParameter(self.name)
        if self.kind is bool:
            return text == "True"
        return self.kind[text] if self._is(enum.Enum) else self.kind(text)


class _Binding:
    """One parameter and one widget: reads, writes, and calls back on a change."""

    def __init__(self, parameter: _Parameter, widget: Wrapped) -> None:
        self.widget = widget
        self._callback: Callable[[], None] | None = None
        name, kind = type(widget).__name__, parameter.kind
        self._signal, self._get, self._set = self._connector(name, parameter)
        limits = [v for v in parameter.validators if isinstance(v, (WithinRange, Minimum, Maximum))]
        for limit in limits if name != "QComboBox" else ():
            for bound in ("minimum", "maximum"):
                if hasattr(limit, bound):
                    setattr(widget, bound, getattr(limit, bound))
        bounded = any(isinstance(v, WithinRange) for v in limits) or len({type(v) for v in limits}) == 2
        if name in ("QSlider", "ctkSliderWidget") and not bounded:
            raise RuntimeError(f"Cannot have a connection to {name} where the {kind.__name__} is unbounded.")
        for extra in parameter.extras:
            if isinstance(extra, (Decimals, SingleStep)) and name not in ("QSlider",):
                setattr(widget, "decimals" if isinstance(extra, Decimals) else "singleStep", extra.value)

    def _connector(self, name: str, parameter: _Parameter) -> tuple[str, Callable[[], Any], Callable[[Any], None]]:
        widget, kind = self.widget, parameter.kind

        def of(
            attribute: str, convert: Callable[[Any], Any] = lambda v: v
        ) -> tuple[Callable[[], Any], Callable[[Any], None]]:
            return lambda: kind(getattr(widget, attribute)), lambda v: setattr(widget, attribute, convert(v))

        path = isinstance(kind, type) and issubclass(kind, pathlib.PurePath)
        if kind is bool and name == "QCheckBox":
            return "stateChanged(int)", *of("checked")
        if kind is bool and name == "QPushButton":
            widget.checkable = True
            return "toggled(bool)", *of("checked")
        if kind is int and name in ("QSlider", "QSpinBox"):
            return "valueChanged(int)", *of("value")
        if kind in (int, float) and name in ("QDoubleSpinBox", "ctkSliderWidget"):
            return "valueChanged(double)", *of("value")
        if kind is str and name == "QLineEdit":
            return "textChanged(QString)", lambda: widget.text, lambda v: v == widget.text or setattr(widget, "text", v)
        if kind is str and name == "QLabel":
            return "", *of("text")
        if kind is str and name == "QTextEdit":
            return "textChanged()", widget.toPlainText, widget.setPlainText
        if path and name == "ctkPathLineEdit":
            return "currentPathChanged(QString)", *of("currentPath", str)
        if parameter.is_node and name == "qMRMLNodeComboBox":
            widget.nodeTypes = [kind.__name__]
            return "currentNodeChanged(vtkMRMLNode*)", widget.currentNode, widget.setCurrentNode
        if name == "QComboBox":
            return "currentIndexChanged(int)", *self._choice(parameter)
        raise RuntimeError(
            f"Unable to create GUI connector from datatype '{parameter.annotated}' to widget type '{name}'."
        )

    def _choice(self, parameter: _Parameter) -> tuple[Callable[[], Any], Callable[[Any], None]]:
        choices = [v for v in parameter.validators if isinstance(v, Choice)]
        if choices:
            values = list(choices[0].choices)
        elif isinstance(parameter.kind, type) and issubclass(parameter.kind, enum.Enum):
            values = list(parameter.kind)
        else:
            raise RuntimeError("A combo box requires the Choice annotation or an Enum.")
        label = getattr(parameter.kind, "label", lambda e: e.name if isinstance(e, enum.Enum) else str(e))
        self.widget.clear()
        for value in values:
            self.widget.addItem(label(value))
        return (
            lambda: values[self.widget.currentIndex],
            lambda v: setattr(self.widget, "currentIndex", values.index(v)),
        )

    def read(self) -> Any:
        return self._get()

    def write(self, value: Any) -> None:
        self._set(value)

    def changed(self) -> None:
        if self._callback is not None:
            self._callback()

    def on_changed(self, callback: Callable[[], None] | None) -> None:
        self._callback = callback
        if self._signal and callback is None:
            self.widget.disconnect(self._signal, self.changed)
        elif self._signal:
            self.widget.connect(self._signal, self.changed)


def parameterNodeWrapper(classtype: type | None = None) -> Any:
    """Makes the annotated members of a class typed properties over a parameter node."""
    return _wrap_class if classtype is None else _wrap_class(classtype)


def isParameterNodeWrapper(class_or_object: Any) -> bool:
    return getattr(class_or_object, "_is_parameter_node_wrapper", False)


class _Methods:
    """What the decorator adds to the class."""

    allParameters: dict[str, _Parameter]
    _is_parameter_node_wrapper = True

    def __init__(self, parameterNode: Any, prefix: str | None = None) -> None:
        if prefix is not None:
            raise NotImplementedError("the harness knows no prefix")
        self.parameterNode = parameterNode
        self._bindings: dict[int, dict[str, _Binding]] = {}
        self._next_tag = 0
        self._updating = False
        for parameter in self.allParameters.values():
            if not parameterNode.HasParameter(parameter.name):
                parameter.write(parameterNode, parameter.default())

    def default(self, name: str) -> Any:
        return self._parameter(name)._default

    def dataType(self, name: str) -> Any:
        return self._parameter(name).annotated

    def getValue(self, name: str) -> Any:
        return self._parameter(name).read(self.parameterNode)

    def setValue(self, name: str, value: Any) -> None:
        with slicer.util.NodeModify(self.parameterNode):
            self._parameter(name).write(self.parameterNode, value)

    def _parameter(self, name: str) -> _Parameter:
        if name not in self.allParameters:
            raise ValueError(f"Cannot find a param with the given name: {name}; there are {list(self.allParameters)}")
        return self.allParameters[name]

    def connectGui(self, gui: Any) -> int:
        """Binds every widget that has the dynamic property SlicerParameterName; a tag for `disconnectGui`."""
        widgets = gui.findChildren("QWidget") if isinstance(gui, Wrapped) else vars(gui).values()
        named = {widget.property(PROPERTY): widget for widget in widgets if widget.property(PROPERTY)}
        return self.connectParametersToGui(named)

    def connectParametersToGui(self, mapping: dict[str, Wrapped]) -> int:
        bindings = {name: _Binding(self._parameter(name), widget) for name, widget in mapping.items()}
        tag, self._next_tag = self._next_tag, self._next_tag + 1
        self._bindings[tag] = bindings
        for name, binding in bindings.items():
            binding.write(self.getValue(name))
            binding.on_changed(self._from_gui(name, binding))
        myself = weakref.ref(self)

        def modified(*_: Any) -> None:
            alive = myself()
            if alive is not None:
                alive._update_gui()

        self.AddObserver(vtk.vtkCommand.ModifiedEvent, modified)
        return tag

    def _from_gui(self, name: str, binding: _Binding) -> Callable[[], None]:
        def changed() -> None:
            if not self._updating:
                with slicer.util.NodeModify(self):
                    self.setValue(name, binding.read())

        return changed

    def _update_gui(self) -> None:
        if self._updating:
            return
        self._updating = True
        try:
            with slicer.util.NodeModify(self):
                for bindings in list(self._bindings.values()):
                    for name, binding in bindings.items():
                        binding.write(self.getValue(name))
        finally:
            self._updating = False

    def disconnectGui(self, tag: int) -> None:
        for binding in self._bindings.pop(tag, {}).values():
            binding.on_changed(None)

    def StartModify(self) -> Any:
        return self.parameterNode.StartModify()

    def EndModify(self, was_modifying: Any) -> Any:
        return self.parameterNode.EndModify(was_modifying)

    def AddObserver(self, event: Any, callback: Callable[..., Any], priority: float = 0.0) -> int:
        return self.parameterNode.AddObserver(event, callback, priority)

    def RemoveObserver(self, tag: int) -> None:
        self.parameterNode.RemoveObserver(tag)

    def Modified(self) -> None:
        self.parameterNode.Modified()


def _wrap_class(classtype: type) -> type:
    parameters = {}
    for name, annotated in typing.get_type_hints(classtype, include_extras=True).items():
        default = Default(getattr(classtype, name)) if hasattr(classtype, name) else None
        parameters[name] = _Parameter(name, annotated, default)
        setattr(classtype, name, _typed_property(name))
    for name, value in {**vars(_Methods), "allParameters": parameters}.items():
        if name.startswith("__") and name != "__init__":
            continue
        if name != "__init__" and hasattr(classtype, name):
            raise ValueError(f"Cannot use reserved name '{name}' in a parameterNodeWrapper")
        setattr(classtype, name, value)
    return classtype


def _typed_property(name: str) -> property:
    return property(lambda self: self.getValue(name), lambda self, value: self.setValue(name, value))


EXPORTED = {
    name: value
    for name, value in list(globals().items())
    if isinstance(value, type) and issubclass(value, (Validator, Default, Decimals, SingleStep))
} | {
    "parameterNodeWrapper": parameterNodeWrapper,
    "isParameterNodeWrapper": isParameterNodeWrapper,
    "SlicerParameterNamePropertyName": PROPERTY,
}
