"""Owns the words beside the lines of 10_checkpoints: the notes' training, and seglib's safe way to write a file."""

# The lines of the notes that change something, choose it, or print. Word for word.
NOTES_LINES = """
criterion = nn.MSELoss(reduction='mean')
optimizer = optim.Adam(pretrained_deeplab.parameters(), lr=1e-5)
pretrained_deeplab.train()
for epoch in range(100):
  for images, masks in train_dataloader:
      outputs = pretrained_deeplab(images)['out']
      loss.backward()
      optimizer.step()
  print(total_loss / count)
"""
NOTES_EXPLANATIONS = {
    "criterion = nn.MSELoss": "**Loss function.** Nothing in it changes. But it decides how the outputs are to be "
    "read. Whoever does not know it later reads them wrongly.",
    "optimizer = optim.Adam": "**Optimizer.** Keeps two running means for each weight. They live in `optimizer`. "
    "Without them Adam begins anew.",
    "pretrained_deeplab.train()": "**Training mode.** From here on each forward pass updates BatchNorm's running "
    "averages. They live in the model. Without them it predicts something else.",
    "for epoch in range(100)": "**Epoch loop.** The number of the epoch lives in a variable. Without it one does not "
    "know how much is left to do.",
    "for images, masks in": "**The order.** A random generator draws it, and moves on. Without the generator's state "
    "the pictures come in another order.",
    "outputs = pretrained_deeplab": "**Forward pass.** Dropout draws from a generator too.",
    "loss.backward()": "**Backward pass.** Leaves gradients. The next step begins by throwing them away, so nobody "
    "has to keep them.",
    "optimizer.step()": "**Optimization step.** Changes the weights, and Adam's means. Without them you begin at "
    "the beginning.",
    "print(total_loss / count)": "**Progress.** The only thing that leaves the process: one number an epoch. (A "
    "quarter of the mean loss, see notebook 07.)",
}

ATOMIC_SAVE_EXPLANATIONS = {
    "torch.save(contents, packed)": "**Pack.** Into memory. If `torch.save` fails, the disk has not been touched.",
    'with open(part, "wb")': "**Write beside it.** Under another name, in the same folder: a rename works in one go "
    "only within one disk. Without this the old file would be emptied first.",
    "os.fsync(file.fileno())": "**Flush.** The system keeps what we write in its memory for a while. Without this "
    "line the new name could be on the disk before the bytes are.",
    "_keep_as_backup(path)": "**Keep the old one.** It gets a second name, as in `fruit.before.pt` (`os.link`), and "
    "keeps its first.",
    "os.replace(part, path)": "**Rename.** Until here `path` is the old file, from here on the new one. It is never "
    "half of one.",
    "part.unlink(missing_ok=True)": "**If the disk is full.** The half-written file is removed, and the error goes on "
    "to the caller.",
    "_sync_folder(path.parent)": "**Flush the folder.** It holds the names: `os.open` it, `os.fsync` what comes out. "
    "Without this line a power cut may undo the rename.",
}
