"""Owns the words beside the command line's training, for `annotate`. See 14_many_gpus."""

# For each function of `seglib.cli.train`: a piece of one of its lines -> its explanation.
TRAIN_WORDS = {
    "if exists and not options.resume:": "**Nothing is lost.** A file that is there is gone on with, or left alone.",
    "consult_doctor(options, split)": "**Look first.** Process 0 looks at all files before a model is built; notebook "
    "13 shows what it looks for. If something stops the training, all of it is told at once.",
    "training = build(": "**The parts.** Data, model, loss, optimizer and checkpoint, in every process.",
    "history = resume(": "**From the file.** If there is one, every process continues from it.",
    "run(training, history)": "**The epochs.** The same loop over epochs as in `fit`.",
    "report(training, history)": "**The last lines.** Which epoch the file holds, and how to predict with it.",
}
BUILD_WORDS = {
    "train_dataloader = shard_loader(": "**Its part.** Of each batch two pictures or more, for BatchNorm.",
    "validation_dataloader = shard_loader(": "**Whole batches.** The validation pictures, batch by batch.",
    "_seed(options.seed, epoch=0, process=0)": "**The same start.** Every process draws the same new layer.",
    "replica = to_ddp(": "**The first wrapper.** The all-reduce, around the model.",
    "global_criterion = global_batch_loss(": "**The second wrapper.** The exchange of outputs, around the loss.",
    "checkpoint = Checkpoint(": "**What goes into the file.** The state of everything above, and the options that a "
    "resumed training has to share.",
}
RESUME_WORDS = {
    "require_same_training(": "**The same training.** What would change it in silence, a learning rate or another set "
    "of pictures, is compared with the file.",
    "history = checkpoint.resume() if rank() == 0": "**One after the other.** Process 0 first; the others wait for it.",
}
RUN_WORDS = {
    "_seed(options.seed, guard.epoch, rank())": "**Random numbers.** Decided by seed, epoch and rank: dropout differs "
    "between processes, and a training that was stopped goes on as it would have.",
    "return train_one_epoch_sharded(": "**One epoch.** `train_one_epoch` of notebook 07, which knows of neither "
    "wrapper; then the mean of all running means, and of all losses.",
    "run_epochs(": "**The loop over epochs** is that of `fit`. Only what it calls differs.",
    "on_epoch=_after_epoch(progress, training, history) if rank()": "**One voice.** Process 0 saves and prints; the "
    "others go on to the next exchange, and wait there.",
    "progress.evaluation = evaluate_sharded(": "**The score of all.** The confusion matrices are added up.",
    "except KeyboardInterrupt:": "**Ctrl-C.** The last whole epoch is in the file, and a line says how to go on.",
}
