"""Owns what 13_your_own_data says beside the lines of the notes' dataset: what each assumes of a folder."""

# The sentences of the notes as 01_dataset wrote them down, those that touch the files.
NOTES_LINES = """\
self.image_filenames = os.listdir(image_folder)

filename = self.image_filenames[idx]
image = Image.open(os.path.join(self.image_folder, filename))
mask = Image.open(os.path.join(self.mask_folder, filename))
return image, mask
"""

NOTES_LINES_EXPLANATIONS = {
    "os.listdir(image_folder)": "**Names of the images.** Whatever lies there is taken for a photograph. Where masks, "
    "notes or sub folders lie in the same folder, they are taken too.",
    "filename = ": "**One name for both.** If the mask is called `fruit_000_mask.png`, nothing is found.",
    "image = ": "**Opened as it is.** Nothing says whether the picture is whole, upright, or of which scene it is.",
    "mask = ": "**Opened as it is, too.** Nothing says what its values mean. A mask in colour, a mask of 0 and 1, and "
    "the mask of another picture are all opened without an error.",
    "return image, mask": "**A pair, because the names say so.** If image and mask differ in size, the resizing makes "
    "them equal, and nobody hears of it.",
}
