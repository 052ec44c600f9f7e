"""Owns the words beside the training of several processes, for `annotate`. See 14_many_gpus."""

# A piece of one line of `seglib.train.train` -> its explanation, as in `loop_words`.
TRAIN_WORDS = {
    "if there and not options.resume": "**Nothing is lost.** A file that is there is gone on with, or left alone.",
    "share(loaders[0], least=2)": "**Its part.** Of each batch two pictures or more, for BatchNorm; of the validation "
    "pictures whole batches.",
    "_chance(options.seed, 0, 0)": "**The same start.** Every process draws the same new layer.",
    "states.require_same_training(": "**The same training.** What would change it in silence, a learning rate or another "
    "set of pictures, is compared with the file.",
    "history = checkpoint.resume() if": "**One after the other.** Process 0 first; the others wait for it.",
    "replica, criterion_of_all": "**The two wrappers.** The all-reduce around the model, the exchange of outputs "
    "around the loss. `train_one_epoch` is that of notebook 06, to the letter, and knows of neither.",
    "_chance(options.seed, watch.epoch, rank())": "**Chance.** Decided by seed, epoch and rank: dropout differs "
    "between processes, and a training that was stopped goes on as it would have.",
    "average_batchnorm_statistics(model)": "**One model.** The mean of all running means, before they are used.",
    "evaluation = evaluate_sharded(": "**The score of all.** The confusion matrices are added up.",
    "saved = watch.epoch if checkpoint.save": "**One voice.** Process 0 saves and prints; the others go on to the next "
    "exchange, and wait there.",
    "except KeyboardInterrupt:": "**Ctrl-C.** The last whole epoch is in the file, and a line says how to go on.",
}
