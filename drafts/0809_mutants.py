    Mutant(
        "early stopping keeps the last weights",
        "seglib/stopping.py",
        (("            self.model.load_state_dict(self.weights)\n", "            pass\n"),),
        ("08_when_to_stop",),
    ),
    Mutant(
        "early stopping keeps the live weights, not a copy",
        "seglib/stopping.py",
        (("name: tensor.detach().clone() for name, tensor", "name: tensor.detach() for name, tensor"),),
        ("08_when_to_stop",),
    ),
    Mutant(
        "resume without the optimizer's state",
        "seglib/checkpoint.py",
        (
            (
                "            part.load_state_dict(saved[name])\n",
                '            if name != "optimizer":\n                part.load_state_dict(saved[name])\n',
            ),
        ),
        ("08_when_to_stop",),
    ),
    Mutant(
        "resume without the random state",
        "seglib/checkpoint.py",
        (('        states.set_random_state(contents["random"])  # last: nothing after it draws a number\n', ""),),
        ("08_when_to_stop",),
    ),
    Mutant(
        "resume with the first order of the pictures",
        "seglib/checkpoint.py",
        (('        states.set_loader_state(self.loader, contents["loader"])\n', ""),),
        ("08_when_to_stop",),
    ),
    Mutant(
        "write on the good checkpoint",
        "seglib/storage.py",
        (('    new, before = path.with_name(path.name + ".part"), one_before(path)\n', "    new, before = path, one_before(path)\n"),),
        ("08_when_to_stop",),
    ),
    Mutant(
        "augment the validation pictures",
        "seglib/transforms.py",
        (
            ("scales=(0.7, 1.5) if train else (1.0, 1.0))]", "scales=(0.7, 1.5))]"),
            ("    if train:\n", "    if True:\n"),
        ),
        ("08_when_to_stop",),
    ),
    Mutant(
        "predict in training mode",
        "seglib/predict.py",
        (("    trained.model.eval()  # running means", "    trained.model.train()  # running means"),),
        ("09_predict",),
    ),
    Mutant(
        "give the mask at the model's size",
        "seglib/predict.py",
        (
            (
                '    outputs = F.interpolate(outputs[None], size, mode="bilinear")  # (1, C, H, W)\n',
                "    outputs = outputs[None]\n",
            ),
        ),
        ("09_predict",),
    ),
    Mutant(
        "a sigmoid for every model, after MSE too",
        "seglib/predict.py",
        (("trained.criterion.probabilities(outputs)[0] if", "outputs.sigmoid()[0] if"),),
        ("09_predict",),
    ),
    Mutant(
        "overwrite masks unasked",
        "seglib/folders.py",
        (('    if there and existing == "refuse":\n', "    if False:\n"),),
        ("09_predict",),
    ),
