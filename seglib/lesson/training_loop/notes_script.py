"""Owns the notes' loop and their whole script, and the difference to examples/finetune.py. See 07_training_loop."""

import difflib
import textwrap
from collections.abc import Mapping

from seglib.errors import SegError
from seglib.lesson.common.annotate import Annotation, Group

# Word for word.
NOTES_LOOP = """\
# Set the model to training mode
pretrained_deeplab.train()

for epoch in range(100):
  total_loss = 0
  count = 0
  for images, masks in train_dataloader:
      images = images.to(device)
      masks = masks.to(device)
      optimizer.zero_grad()

      # Forward pass
      outputs = pretrained_deeplab(images)['out']

      # Calculate the loss
      loss = criterion(outputs, masks.float())
      count += 4
      total_loss += loss.item()

      # Backward pass and optimization
      loss.backward()
      optimizer.step()
  print(total_loss / count)
"""

# From "import torch.optim" on word for word. Dataset, transforms and data are sentences in the notes: the code is ours.
NOTES_SCRIPT = f"""\
import os
import torch
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader
from torchvision import transforms
# 1) CustomDataset class
class CustomDataset(torch.utils.data.Dataset):
    def __init__(self, image_folder, mask_folder, transform=None, mask_transform=None):
        self.image_folder = image_folder
        self.mask_folder = mask_folder
        self.transform = transform
        self.mask_transform = mask_transform
        self.image_filenames = os.listdir(image_folder)
    def __len__(self):
        return len(self.image_filenames)
    def __getitem__(self, idx):
        filename = self.image_filenames[idx]
        image = Image.open(os.path.join(self.image_folder, filename))
        mask = Image.open(os.path.join(self.mask_folder, filename))
        if self.transform:
            image = self.transform(image)
        if self.mask_transform:
            mask = self.mask_transform(mask)
        return image, mask
# 2) Transformations
transform = transforms.Compose(
    [
        transforms.Resize((1280, 960)),
        transforms.ToTensor(),
        transforms.Normalize(mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225]),
    ]
)
mask_transform = transforms.Compose(
    [
        transforms.Resize((1280, 960)),
        transforms.ToTensor(),
    ]
)
# 3) Data stuff
dataset = CustomDataset(image_folder, mask_folder, transform, mask_transform)
train_dataloader = DataLoader(dataset, batch_size=4, shuffle=True)
# Optimizer and Loss function
pretrained_deeplab = get_model("deeplabv3_resnet50", weights="DEFAULT")
import torch.optim as optim
device = 'cuda'
criterion = nn.MSELoss(reduction='mean')
optimizer = optim.Adam(pretrained_deeplab.parameters(), lr=1e-5)
pretrained_deeplab.to(device)
# Training Loop
{NOTES_LOOP}"""


def loop_and_evaluation(repaired: str) -> str:
    """The lines of the repaired script that train and measure: its training loop, and below it its `evaluate`.

    Args:
        repaired: the source of examples/finetune.py.

    Raises:
        SegError: it has another form, so that the two cannot be found.
    """
    parts = []
    for first, last in (("    for epoch in range(", "    print("), ("@torch.no_grad()\ndef evaluate(", "\n\n")):
        start = repaired.find(f"\n{first}") + 1
        end = repaired.find(f"\n{last}", start)
        if not start or end < start:
            raise SegError(f"The script has no lines from {first.strip()!r} on.", "a loop and evaluate", "Look there.")
        parts.append(textwrap.dedent(repaired[start:end]).rstrip())
    return "\n\n\n".join(parts) + "\n"


def script_diff(notes: str, repaired: str, reasons: Mapping[str, str]) -> Annotation:
    """A script beside the one that came out of it: `-` is gone, `+` is new, and each change has its reason beside it.

    How lines are indented, which quotes they use, and empty lines are no difference. A row begins where an explained
    line stands; what was taken out stands right above the new line that is most like it.

    Args:
        notes: the old source.
        repaired: the new source.
        reasons: a piece of one changed line, which stands in no other changed line -> why it changed, as in `annotate`.

    Raises:
        SegError: a reason without its line; a change that begins without a reason.

    Example:
        >>> script_diff("count += 4", "count += len(images)", {"len(images)": "**Counting.** Those that are there."})
             > Counting. Those that are there.
          1  - count += 4
          2  + count += len(images)
    """
    groups: list[Group] = []
    used: set[str] = set()
    for changed, lines in _blocks(_full_lines(notes), _full_lines(repaired)):
        rows = _rows(lines, reasons) if changed else [("", ["  " + line for line in lines])]
        for fragment, part in rows:
            if changed and not fragment:
                raise SegError(
                    f"A change begins without a reason: {part[0]!r}.", "one for it", "Add it to the reasons."
                )
            if fragment in used:
                raise SegError(f"{fragment!r} stands in two changed lines.", "one line", "Make the piece longer.")
            used |= {fragment} - {""}
            first = groups[-1].first + len(groups[-1].lines) if groups else 1
            groups.append(Group(first, tuple(part), fragment, reasons.get(fragment, "")))
    lost = [piece for piece in reasons if piece not in used]
    if lost:
        raise SegError(f"No changed line holds {lost[0]!r}.", "a piece of one changed line", "Correct or remove it.")
    return Annotation(groups)


def _rows(lines: list[str], reasons: Mapping[str, str]) -> list[tuple[str, list[str]]]:
    """The changed lines in rows, each with the piece that opens it; an old line goes with the new line below it."""
    rows: list[tuple[str, list[str]]] = []
    waiting: list[str] = []
    for line in lines:
        fragment = next((piece for piece in reasons if piece in line), "")
        if not fragment and line.startswith("- ") and line is not lines[-1]:
            waiting.append(line)
        elif fragment or not rows:
            rows.append((fragment, [*waiting, line]))
            waiting = []
        else:
            rows[-1][1].extend([*waiting, line])
            waiting = []
    return rows


def _full_lines(source: str) -> list[str]:
    return [line for line in source.splitlines() if line.strip()]


def _alike(line: str) -> str:
    return line.strip().replace("'", '"')


def _blocks(old: list[str], new: list[str]) -> list[tuple[bool, list[str]]]:
    """(changed, lines) in order; changed lines begin with "- " or "+ ", an old one above the new one most like it."""
    matcher = difflib.SequenceMatcher(None, [*map(_alike, old)], [*map(_alike, new)], autojunk=False)
    blocks: list[tuple[bool, list[str]]] = []
    for kind, old_first, old_end, new_first, new_end in matcher.get_opcodes():
        if kind == "equal":
            blocks.append((False, new[new_first:new_end]))
        else:
            blocks.append((True, _interleaved(old[old_first:old_end], new[new_first:new_end])))
    return blocks


def _interleaved(old: list[str], new: list[str]) -> list[str]:
    above: dict[int, list[str]] = {}
    for line in old:
        likeness = [difflib.SequenceMatcher(None, _alike(line), _alike(other)).ratio() for other in new]
        place = likeness.index(max(likeness)) if likeness else 0
        above.setdefault(place, []).append(f"- {line}")
    lines = []
    for place, line in enumerate(new):
        lines += [*above.get(place, []), f"+ {line}"]
    return lines if new else above.get(0, [])
