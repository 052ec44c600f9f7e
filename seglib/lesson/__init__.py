"""What only a lesson needs: annotated source, exercise checks, figures, widgets. Only here is matplotlib imported."""

from seglib.lesson.annotate import annotate
from seglib.lesson.charts import iou_grid_figure, mask_values_bar, plot_history
from seglib.lesson.charts_loading import epoch_parts, leak_dots, worker_bars
from seglib.lesson.drawing import error_picture, overlay, to_labels, to_picture
from seglib.lesson.exercises_files import check_pair_by_stem, check_upright
from seglib.lesson.exercises_loaders import check_batch_sizes, check_collate, check_split_by_scene
from seglib.lesson.exercises_masks import check_count_labels, check_mask_to_label
from seglib.lesson.exercises_model import check_freeze, check_new_head, check_running_mean
from seglib.lesson.exercises_start import check_iou, check_predict_threshold
from seglib.lesson.exercises_transforms import check_denormalize, check_joint_flip, check_resize_mask
from seglib.lesson.figures import new_figure, show
from seglib.lesson.palette import OKABE_ITO
from seglib.lesson.plots import before_after, error_map, image_grid
from seglib.lesson.two_dice import TwoDice
from seglib.lesson.widgets import sample_slider

__all__ = [
    "OKABE_ITO",
    "TwoDice",
    "annotate",
    "before_after",
    "check_batch_sizes",
    "check_collate",
    "check_count_labels",
    "check_denormalize",
    "check_freeze",
    "check_iou",
    "check_joint_flip",
    "check_mask_to_label",
    "check_new_head",
    "check_pair_by_stem",
    "check_predict_threshold",
    "check_resize_mask",
    "check_running_mean",
    "check_split_by_scene",
    "check_upright",
    "epoch_parts",
    "error_map",
    "error_picture",
    "image_grid",
    "iou_grid_figure",
    "leak_dots",
    "mask_values_bar",
    "new_figure",
    "overlay",
    "plot_history",
    "sample_slider",
    "show",
    "to_labels",
    "to_picture",
    "worker_bars",
]
