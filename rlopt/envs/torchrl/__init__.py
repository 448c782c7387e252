"""TorchRL environments: simulators that step their copies by themselves, on the device of the training."""
