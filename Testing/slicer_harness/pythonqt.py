"""PythonQt's manners over PySide6, so that code written for Slicer runs unchanged.

A Qt class is seen as a Python class of the same name (`qt.QPushButton`), a Qt object as an instance of it. As in
PythonQt (its `PythonQtInstanceWrapper_getattro` and `_setattro`):

* a property of the meta object is an attribute, read and written, never called; `name` is another word for
  `objectName`;
* a public method is called; arguments and results are converted on the way; lists of objects come back as tuples;
* `connect("signal(type)", callable)` and `disconnect` take the full C++ signature; a callable gets as many arguments as
  it has room for, and an exception in it does not reach the sender. Here it is kept in `slot_errors`, for the tests;
* a dynamic property and a child's object name are attributes as well, if nothing else has that name;
* a new attribute on a Qt object, and a call of a destroyed one, are errors.

Where PythonQt prints and goes on (an unknown signal), this raises. Subclassing is possible in PythonQt, with traps;
here it is refused.
"""

from __future__ import annotations

import contextlib
import ctypes
import enum
import functools
import inspect
import sys
import traceback
import types
import weakref
from collections.abc import Callable
from typing import Any

import shiboken6
from PySide6 import QtCore, QtGui, QtUiTools, QtWidgets
from PySide6.QtCore import SIGNAL, SLOT, QObject

PYSIDE_ONLY = {"connect", "disconnect", "emit", "exec", "findChild", "findChildren", "receivers", "sender", "tr"}
"""Public names of PySide6 objects that are Python's or C++'s, not PythonQt's."""

slot_errors: list[str] = []
"""Tracebacks of exceptions raised in slots since the list was last emptied."""

overrides: dict[tuple[str, str], Callable[..., Any]] = {}
"""(class, method) to a stand-in for it: dialogs, and what PythonQt's decorators change."""

_classes: dict[type, type] = {}
_instances: weakref.WeakValueDictionary[int, Any] = weakref.WeakValueDictionary()
_connections: dict[int, list[tuple[str, Callable[..., Any], Callable[..., Any]]]] = {}


def make_constants_lasting() -> None:
    """PySide6 6.12 loses a reference to None, True or False at many calls that return it.

    From Python 3.12 on the three are immortal; before, the process would end, so they get here more references than
    it can lose.
    """
    if sys.version_info < (3, 12):
        for constant in (None, True, False):
            ctypes.c_ssize_t.from_address(id(constant)).value += 1 << 40


make_constants_lasting()


def unwrap(value: Any) -> Any:
    """The PySide6 object behind a wrapper, also within lists, tuples and dicts."""
    if isinstance(value, Wrapped):
        return value._alive()
    if isinstance(value, (list, tuple)):
        return type(value)(unwrap(v) for v in value)
    if isinstance(value, dict):
        return {k: unwrap(v) for k, v in value.items()}
    if isinstance(value, _ClassMeta):
        return value._qt
    return value


def wrap(value: Any) -> Any:
    """The PythonQt-like wrapper of a PySide6 object; lists become tuples; anything else is returned as it is."""
    if isinstance(value, QtCore.QMetaObject.Connection):
        return bool(value)
    if isinstance(value, (list, tuple)):
        return tuple(wrap(v) for v in value)
    if not isinstance(value, shiboken6.Object) or isinstance(value, enum.Enum):
        return value
    if not isinstance(value, QObject):
        return _new_wrapper(value)
    pointer = shiboken6.getCppPointer(value)[0]
    known = _instances.get(pointer)
    if known is None or not shiboken6.isValid(object.__getattribute__(known, "_object")):
        known = _instances[pointer] = _new_wrapper(value)
    return known


def wrapper_class(qt_class: type) -> type:
    """The class that stands for `qt_class`, with the wrappers of its Qt bases as bases."""
    if qt_class not in _classes:
        bases = tuple(
            wrapper_class(base)
            for base in qt_class.__bases__
            if issubclass(base, shiboken6.Object) and base is not shiboken6.Object
        )
        namespace = {"_qt": qt_class, "__slots__": (), "_ours": True}
        _classes[qt_class] = _ClassMeta(qt_class.__name__, bases or (Wrapped,), namespace)
    return _classes[qt_class]


def _new_wrapper(value: Any) -> Any:
    wrapper = object.__new__(wrapper_class(type(value)))
    object.__setattr__(wrapper, "_object", value)
    return wrapper


class _ClassMeta(type):
    def __new__(meta, name: str, bases: tuple[type, ...], namespace: dict[str, Any]) -> type:
        if not namespace.pop("_ours", False):
            raise TypeError(
                f"{name} subclasses {bases[0].__name__}: the module's code owns widgets, it never derives from them"
            )
        return super().__new__(meta, name, bases, namespace)

    def __init__(cls, name: str, bases: tuple[type, ...], namespace: dict[str, Any]) -> None:
        super().__init__(name, bases, namespace)

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        if kwargs:
            raise TypeError(f"{cls.__name__}: PythonQt's constructors take no keyword arguments here")
        if cls is Wrapped:
            raise TypeError("not a Qt class")
        return wrap(cls._qt(*unwrap(args)))

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("_") or cls is Wrapped:
            raise AttributeError(name)
        override = _override(cls._qt, name)
        if override is not None:
            return override
        if name in PYSIDE_ONLY:
            raise AttributeError(f"{cls.__name__} has no attribute named '{name}'")
        value = getattr(cls._qt, name)
        if isinstance(value, type) and issubclass(value, shiboken6.Object):
            return wrapper_class(value)
        if isinstance(value, (enum.Enum, type)):
            return value
        if not callable(value):
            raise AttributeError(f"{cls.__name__} has no attribute named '{name}'")
        return _converting(value)

    def __repr__(cls) -> str:
        return f"<PythonQt-like class {cls.__name__}>"


def _override(qt_class: type, name: str) -> Callable[..., Any] | None:
    """What stands in for a method of a class, or of one of its bases."""
    return next(
        (overrides[base.__name__, name] for base in qt_class.__mro__ if (base.__name__, name) in overrides), None
    )


def _converting(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function, assigned=("__name__", "__doc__"), updated=())
    def call(*args: Any, **kwargs: Any) -> Any:
        return wrap(function(*unwrap(args), **unwrap(kwargs)))

    return call


class Wrapped(metaclass=_ClassMeta):
    """A Qt object as PythonQt shows it."""

    _ours = True
    __slots__ = ("__weakref__", "_object")

    def _alive(self) -> Any:
        if not shiboken6.isValid(self._object):
            raise ValueError(f"Trying to use a destroyed {type(self).__name__} object")
        return self._object

    def __bool__(self) -> bool:
        return shiboken6.isValid(self._object)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Wrapped):
            return NotImplemented
        if isinstance(self._object, QObject) or isinstance(other._object, QObject):
            return self is other or self._object is other._object
        return bool(self._object == other._object)

    def __hash__(self) -> int:
        return hash(id(self._object) if isinstance(self._object, QObject) else self._object)

    def __repr__(self) -> str:
        if not self:
            return f"<destroyed {type(self).__name__}>"
        name = self._object.objectName() if isinstance(self._object, QObject) else ""
        return f"<{type(self).__name__} {name}>"

    def __or__(self, other: Any) -> Any:
        return wrap(self._object | unwrap(other))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        obj = self._alive()
        if isinstance(obj, QObject) and (found := _property(obj, name)) is not None:
            return wrap(_read(obj, found))
        override = _override(type(obj), name)
        if override is not None:
            return functools.partial(override, self)
        value = None if name in PYSIDE_ONLY else getattr(obj, name, None)
        if isinstance(value, QtCore.SignalInstance):
            raise AttributeError(f'{type(self).__name__}.{name} is a signal: connect("{name}(…)", …)')
        if isinstance(value, enum.Enum) or (isinstance(value, type) and issubclass(value, enum.Enum)):
            return value
        if callable(value):
            return _converting(value)
        if isinstance(obj, QObject):
            dynamic = obj.property(name)
            if dynamic is not None:
                return wrap(dynamic)
            for child in obj.children():
                if child.objectName() == name:
                    return wrap(child)
        raise AttributeError(f"{type(self).__name__} has no attribute named '{name}'")

    def __setattr__(self, name: str, value: Any) -> None:
        obj = self._alive()
        found = _property(obj, name) if isinstance(obj, QObject) else None
        if found is not None:
            _write(obj, found, unwrap(value))
        elif isinstance(obj, QObject) and obj.property(name) is not None:
            obj.setProperty(name, unwrap(value))
        elif hasattr(obj, name):
            raise AttributeError(f"Slot '{name}' can not be overwritten on {type(self).__name__} object")
        else:
            raise AttributeError(
                f"'{name}' does not exist on {type(self).__name__} and creating new attributes on C++ objects "
                "is not allowed"
            )

    def connect(self, signal: str, *receiver: Any) -> bool:
        """`connect("signal(type)", callable)` or `connect("signal(type)", receiver, "slot(type)")`."""
        obj, signature = self._alive(), _signal(self._alive(), signal)
        if len(receiver) == 2:
            slot = _declared(receiver[1], type(receiver[0]._object), "CPP_SLOTS")
            target = unwrap(receiver[0])
            if target.metaObject().indexOfMethod(slot) < 0:
                raise AttributeError(f"{type(receiver[0]).__name__} has no slot {receiver[1]}")
            return bool(QObject.connect(obj, SIGNAL(signature), target, SLOT(slot)))
        (callable_,) = receiver
        if not callable(callable_):
            raise TypeError(f"connect({signal!r}): {callable_!r} cannot be called")
        return bool(QObject.connect(obj, SIGNAL(signature), _remember(obj, signature, callable_)))

    def disconnect(self, signal: str, callable_: Callable[..., Any]) -> bool:
        """Undoes `connect`; False if there was no such connection."""
        obj, signature = self._alive(), _signal(self._alive(), signal)
        known = _connections.get(shiboken6.getCppPointer(obj)[0], [])
        for entry in known:
            if entry[0] == signature and entry[1] == callable_:
                known.remove(entry)
                return bool(QObject.disconnect(obj, SIGNAL(signature), entry[2]))
        return False

    def className(self) -> str:
        return str(self._alive().metaObject().className())

    def exec_(self, *args: Any) -> Any:
        obj = self._alive()
        override = _override(type(obj), "exec_")
        return wrap(obj.exec(*unwrap(args)) if override is None else override(self, *args))

    def findChild(self, kind: Any, name: str = "") -> Any:
        found = self.findChildren(kind, name)
        return found[0] if found else None

    def findChildren(self, kind: Any, name: str = "") -> tuple[Any, ...]:
        if not isinstance(kind, (str, _ClassMeta)):
            raise TypeError("findChildren takes a class, or its name, and a name")
        found = self._alive().findChildren(QObject)
        of_kind = [o for o in found if (o.inherits(kind) if isinstance(kind, str) else isinstance(o, kind._qt))]
        return tuple(wrap(o) for o in of_kind if not name or o.objectName() == name)


def _property(obj: QObject, name: str) -> Any:
    name = "objectName" if name == "name" else name
    index = obj.metaObject().indexOfProperty(name)
    return None if index < 0 else obj.metaObject().property(index)


def _read(obj: QObject, prop: Any) -> Any:
    name = prop.name()
    on_class = getattr(type(obj), name, None)
    if isinstance(on_class, QtCore.Property):
        return getattr(obj, name)
    for getter in (name, "is" + name[0].upper() + name[1:]):
        method = getattr(obj, getter, None)
        if callable(method) and not isinstance(method, QtCore.SignalInstance):
            with contextlib.suppress(TypeError):  # a method of that name which is not the property's getter
                return method()
    return obj.property(name)


def _write(obj: QObject, prop: Any, value: Any) -> None:
    name = prop.name()
    kind = type(obj).__name__
    if not prop.isWritable():
        raise AttributeError(f"Property '{name}' of {kind} object is not writable")
    setter = getattr(obj, "set" + name[0].upper() + name[1:], None)
    if isinstance(getattr(type(obj), name, None), QtCore.Property):
        setter = functools.partial(setattr, obj, name)
    try:
        if value is None and prop.typeName() != "QVariant":
            raise TypeError("None")
        done = setter(value) if setter is not None else obj.setProperty(name, value)
    except TypeError as error:
        raise AttributeError(
            f"Property '{name}' of type '{prop.typeName()}' does not accept an object of type "
            f"{type(value).__name__} ({value!r})"
        ) from error
    if setter is None and not done:
        raise AttributeError(f"Property '{name}' of type '{prop.typeName()}' does not accept {value!r}")


def _declared(signature: str, qt_class: type, table: str) -> str:
    """The PySide6 signature of a signal or slot that a stand-in declares under its C++ signature."""
    normal = str(QtCore.QMetaObject.normalizedSignature(signature), "ascii")
    for base in qt_class.__mro__:
        if normal in base.__dict__.get(table, {}):
            return base.__dict__[table][normal]
    if "PyObject" in normal:
        raise AttributeError(f"no C++ signature: {signature}")
    return normal


def _signal(obj: QObject, signal: str) -> str:
    signature = _declared(signal.lstrip("2"), type(obj), "CPP_SIGNALS")
    if obj.metaObject().indexOfSignal(signature) < 0:
        raise AttributeError(f"signal '{signal}' does not exist on {type(obj).__name__}")
    return signature


def _remember(obj: QObject, signature: str, callable_: Callable[..., Any]) -> Callable[..., Any]:
    pointer = shiboken6.getCppPointer(obj)[0]
    if pointer not in _connections:
        _connections[pointer] = []
        obj.destroyed.connect(functools.partial(_forget, pointer))
    adapter = slot(callable_)
    _connections[pointer].append((signature, callable_, adapter))
    return adapter


def _forget(pointer: int, *_: Any) -> None:
    _connections.pop(pointer, None)
    _instances.pop(pointer, None)


def room_for(callable_: Callable[..., Any]) -> int | None:
    """How many of a signal's arguments PythonQt hands over: all (None), unless a function or method takes fewer."""
    function = callable_.__func__ if inspect.ismethod(callable_) else callable_
    if not inspect.isfunction(function) or function.__code__.co_flags & inspect.CO_VARARGS:
        return None
    return function.__code__.co_argcount - int(inspect.ismethod(callable_))


def slot(callable_: Callable[..., Any]) -> Callable[..., None]:
    """The callable as Qt may call it: with the arguments that fit; what it raises is kept, not passed on."""
    room = room_for(callable_)

    def adapter(*args: Any) -> None:
        try:
            callable_(*wrap(args)[:room])
        except SystemExit as leaving:
            QtCore.QCoreApplication.exit(int(leaving.code or 0))
            slot_errors.append(f"SystemExit({leaving.code}) in a slot")
        except BaseException:
            text = traceback.format_exc()
            slot_errors.append(text)
            print(text, file=sys.stderr)

    return adapter


def emit(widget: Wrapped, signature: str, *args: Any) -> None:
    """Emits a signal, as a user's hand would; the signature is C++'s."""
    obj = widget._alive()
    found = _signal(obj, signature)
    name, _, rest = found.partition("(")
    instance = getattr(obj, name)
    kinds = tuple(
        {"PyObject": object, "bool": bool, "int": int, "QString": str, "double": float}.get(k)
        for k in rest[:-1].split(",")
        if k
    )
    chosen = instance[kinds] if kinds and None not in kinds and _overloaded(obj, name) else instance
    chosen.emit(*unwrap(args))


def _overloaded(obj: QObject, name: str) -> bool:
    methods = [obj.metaObject().method(i) for i in range(obj.metaObject().methodCount())]
    return sum(str(m.name(), "ascii") == name for m in methods) > 1


def single_shot(milliseconds: int, callable_: Callable[..., Any]) -> None:
    """`qt.QTimer.singleShot(ms, callable)`."""
    QtCore.QTimer.singleShot(milliseconds, slot(callable_))


overrides["QTimer", "singleShot"] = single_shot


class QtModule(types.ModuleType):
    """`import qt`: all of Qt's classes in one flat module."""

    _parts = (QtCore, QtGui, QtWidgets, QtUiTools)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        for part in self._parts:
            value = getattr(part, name, None)
            if isinstance(value, type) and issubclass(value, shiboken6.Object):
                return wrapper_class(value)
        if name == "Qt":
            return QtCore.Qt
        raise AttributeError(f"module 'qt' has no attribute '{name}'")
