"""Node: what all parts of a model have in common. They can be walked, switched, saved and restored."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from ..errors import ShapeError


class Node:
    """A part of a model. Its fields are all there is to it: what is walked, copied, saved and restored.

    A field is a name that the class annotates and gives no value; an annotated name with a value (`training` here) is
    passing state, which no file keeps.
    """

    training: bool = True

    @classmethod
    @functools.cache
    def fields(cls) -> list[str]:
        """The names of the fields, base classes first."""
        classes = reversed(cls.__mro__)
        return [name for c in classes for name in inspect.get_annotations(c) if name not in vars(c)]

    def leaves(self, path: str = "") -> Iterator[tuple[str, Any]]:
        """(dotted path, value) of every field and of every item of a list, nodes before what they hold."""
        for name in self.fields():
            value = getattr(self, name)
            items = enumerate(value) if isinstance(value, list) else [(None, value)]
            for i, item in items:
                where = path + name + ("" if i is None else f".{i}")
                yield where, item
                if isinstance(item, Node):
                    yield from item.leaves(where + ".")

    def walk(self) -> Iterator[tuple[str, Node]]:
        """(dotted path, node) of this node ("") and of every node inside it; a shared one only where it comes first."""
        seen = {id(self)}
        yield "", self
        for path, value in self.leaves():
            if isinstance(value, Node) and id(value) not in seen:
                seen.add(id(value))
                yield path, value

    def exchange(self, new: Mapping[int, Node]) -> None:
        """Put new[id(part)] in place of every part inside that has one, wherever it stands."""
        for _, node in list(self.walk()):
            for name in node.fields():
                value = getattr(node, name)
                if isinstance(value, list):
                    value[:] = [new.get(id(item), item) for item in value]
                elif id(value) in new:
                    setattr(node, name, new[id(value)])

    def train(self, training: bool = True) -> None:
        """Switch this node and all inside it to training mode (or, with False, to evaluation mode)."""
        for _, node in self.walk():
            node.training = training
            node.reset()

    def reset(self) -> None:
        """Forget a forward pass whose backward pass never came."""

    def validate(self) -> None:
        """Check that the fields fit each other, or raise a named error, and rebuild what is derived from them.

        A loaded node is made without its constructor, by setting its fields; this completes it."""

    def state(self) -> dict[str, Any]:
        """Path → array, generator or number of all that training can change, without copying it."""
        kinds = (np.ndarray, np.random.Generator, int, float)
        return {path: value for path, value in self.leaves() if isinstance(value, kinds)}

    def restore(self, state: dict[str, Any]) -> None:
        """Write a saved `state` back in place.   Raises ShapeError naming the first difference, nothing changed."""
        own = self.state()
        if list(own) != list(state):
            odd = next(iter([p for p in own if p not in state] + [p for p in state if p not in own]), "their order")
            raise ShapeError(f"the saved state belongs to another architecture; the first difference: {odd}.")
        for path, value in own.items():
            if np.shape(value) != np.shape(state[path]):
                raise ShapeError(f"{path} has shape {np.shape(value)} here, {np.shape(state[path])} in the state.")
        for path, value in own.items():
            if isinstance(value, np.ndarray):
                value[...] = state[path]
            elif isinstance(value, np.random.Generator):
                value.bit_generator.state = state[path].bit_generator.state
            else:
                self._assign(path, state[path])

    def _assign(self, path: str, value: Any) -> None:
        *way, last = path.split(".")
        target: Any = self
        for name in way:
            target = target[int(name)] if isinstance(target, list) else getattr(target, name)
        setattr(target, last, value)
