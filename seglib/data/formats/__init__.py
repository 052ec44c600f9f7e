"""Masks from what other tools export: COCO, LabelMe, VOC, CVAT, Roboflow, YOLO. Explained in 13_your_own_data."""

from seglib.data.formats.conversion import FORMATS, ConversionReport, convert

__all__ = ["FORMATS", "ConversionReport", "convert"]
