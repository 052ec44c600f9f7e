"""Owns the kinds of things in the path-traced scenes of the pretraining: the label of a kind is its place here.

It stands in a file of its own because the scenes are rendered with Blender's Python and read with torch's.
"""

CLASS_NAMES = (
    "background",
    "ball",
    "mug",
    "vase",
    "book",
    "box",
    "plate",
    "spoon",
    "leaf",
    "cloth",
    "stone",
    "pin",
    "hook",
    "ring",
    "cone",
    "mushroom",
)
